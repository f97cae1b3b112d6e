// A program that does what a phone app does, with a model that is a function of a few lines: put
// your runtime's call in its place.
//
//     played_phone PACK OUT              run every net on every item, write the run OUT
//     played_phone PACK --tensors DIR    write each net's tensors as DIR/NET.bin, to compare bytes
//
// The exit code is 1, with one sentence on stderr, where something cannot be used.

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "mirrorset_parity.hpp"

namespace parity = mirrorset::parity;

namespace {

// Every value of an output is the mean of the input's bytes. A real app runs its model here.
std::vector<std::vector<float>> model(const parity::Net& net, const parity::Tensor& input) {
  double sum = 0;
  for (const std::uint8_t byte : input.bytes) sum += byte;
  const auto mean = static_cast<float>(sum / static_cast<double>(input.bytes.size()));
  std::vector<std::vector<float>> outputs;
  for (const parity::Output& output : net.outputs) {
    std::size_t count = 1;
    for (const std::size_t side : output.shape) count *= side;
    outputs.emplace_back(count, mean);
  }
  return outputs;
}

void run(const parity::Pack& pack, const std::string& out) {
  parity::RunWriter run(pack, out);
  for (const parity::Net& net : pack.nets()) {
    parity::Key key;
    key.model_sha256 = net.model_sha256;  // of the file that runs: parity::file_sha256(path)
    key.runtime = "played";
    key.runtime_version = "1";
    key.kernel = "mean";
    key.delegate = "none";
    key.device = "played \"phone\"";
    run.add_net(net.name, {key, net.model});
    run.keep_inputs(net.name);
  }
  for (std::size_t item = 0; item < pack.items().size(); ++item) {
    run.begin_item(item);
    for (const parity::Net& net : pack.nets()) {
      const parity::Tensor input = pack.tensor(net.name, item);
      const auto started = std::chrono::steady_clock::now();
      const auto outputs = model(net, input);
      const std::chrono::duration<double, std::milli> elapsed =
          std::chrono::steady_clock::now() - started;
      run.put_input(net.name, input);
      for (std::size_t i = 0; i < net.outputs.size(); ++i)
        run.put(net.name, net.outputs[i].name, outputs[i].data(), outputs[i].size());
      run.took(net.name, elapsed.count());
    }
  }
  run.finish();
}

void write_tensors(const parity::Pack& pack, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const parity::Net& net : pack.nets()) {
    std::ofstream file(folder / (net.name + ".bin"), std::ios::binary);
    for (std::size_t item = 0; item < pack.items().size(); ++item) {
      const parity::Tensor tensor = pack.tensor(net.name, item);
      file.write(reinterpret_cast<const char*>(tensor.bytes.data()),
                 static_cast<std::streamsize>(tensor.bytes.size()));
    }
    if (!file.flush()) throw parity::Error(folder.string() + " cannot be written.");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const bool is_tensors = words.size() == 3 && words[1] == "--tensors";
    if (words.size() != 2 && !is_tensors)
      throw parity::Error("Give a pack and a folder: played_phone PACK OUT.");
    const parity::Pack pack(words[0]);
    if (is_tensors)
      write_tensors(pack, words[2]);
    else
      run(pack, words[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
