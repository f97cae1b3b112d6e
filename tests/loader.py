"""What a trainer's program does: `python -m loader RELEASE fork` loads it by workers.

The workers do what PyTorch's DataLoader has its own do: each gets the dataset, forked or pickled,
and lists of indices in turn, and sends back what `collate_fn` makes of them. It is a program of its
own, as forks of a test's process would inherit whatever other tests have left running there.
"""

import multiprocessing
import sys

import numpy as np

import mirrorset


def work(dataset, collate_fn, indices, batches):
    """A worker of a loader: lists of indices in, numbered batches out."""
    while (asked := indices.get()) is not None:
        number, wanted = asked
        batches.put((number, collate_fn([dataset[index] for index in wanted])))


def loaded(dataset, sampler, start, workers=3, batch_size=2, collate_fn=mirrorset.batch):
    """Batches in order, made by workers that get their lists in turn."""
    context = multiprocessing.get_context(start)
    out, queues, processes = context.Queue(), [], []
    wanted = [sampler[at : at + batch_size] for at in range(0, len(sampler), batch_size)]
    for _ in range(workers):
        queues.append(context.Queue())
        processes.append(
            context.Process(target=work, args=(dataset, collate_fn, queues[-1], out), daemon=True)
        )
        processes[-1].start()
    for number, indices in enumerate(wanted):
        queues[number % workers].put((number, indices))
    for queue in queues:
        queue.put(None)
    batches = dict(out.get(timeout=120) for _ in wanted)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [batches[number] for number in range(len(wanted))]


def main(folder, start):
    """Fail unless the workers' batches are those that this process makes."""
    samples = mirrorset.load(folder).samples("ibug68")
    order = samples.order(seed=7)
    # What was read here before must not disturb a forked worker.
    alone = [mirrorset.batch([samples[i] for i in order[at : at + 2]]) for at in range(0, 8, 2)]
    for ours, theirs in zip(alone, loaded(samples, order, start), strict=True):
        assert ours.keys() == theirs.keys()
        assert ours["image_ids"] == theirs["image_ids"]
        for mine, other in zip(ours["images"], theirs["images"], strict=True):
            assert np.array_equal(mine, other)
        for name in ("face_image", "boxes", "landmarks", "visibility"):
            assert np.array_equal(ours[name], theirs[name])
    print(len(order), "samples")


if __name__ == "__main__":
    main(*sys.argv[1:])
