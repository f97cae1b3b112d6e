"use strict";
// The page reads well without this script; it adds filters, order and the enlarged view.
const sheet = document.querySelector(".sheet");
if (sheet) {
  const form = document.querySelector(".controls");
  const cards = [...sheet.children];
  const viewer = document.getElementById("viewer");
  const body = viewer.querySelector(".viewer-body");
  let current = null;

  const shown = () => [...sheet.children].filter((card) => !card.hidden);

  function apply() {
    const { split, side, order } = form.elements;
    for (const card of cards) {
      const hasSide = !side.value || card.dataset.side.split(" ").includes(side.value);
      card.hidden = !(hasSide && (!split.value || card.dataset.split === split.value));
    }
    const direction = Number(order.value);
    const sorted = [...cards].sort((a, b) => direction * (a.dataset.confidence - b.dataset.confidence));
    sheet.replaceChildren(...sorted);
    const count = shown().length;
    form.querySelector("output").textContent =
      count === cards.length ? `${count} shown` : `${count} of ${cards.length} shown`;
    document.querySelector(".none").hidden = count > 0;
  }

  function show(card) {
    current = card;
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.append(...[...card.querySelector(".frame").children].map((child) => child.cloneNode(true)));
    const facts = card.querySelector(".facts").cloneNode(true);
    facts.hidden = false;
    body.replaceChildren(frame, facts);
    const all = shown();
    viewer.querySelector("h2").textContent = `Image ${all.indexOf(card) + 1} of ${all.length}`;
    if (!viewer.open) viewer.showModal();
  }

  function step(by) {
    const all = shown();
    show(all[(all.indexOf(current) + by + all.length) % all.length]);
  }

  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  sheet.addEventListener("click", (event) => {
    const card = event.target.closest(".frame")?.closest(".card");
    if (card) show(card);
  });
  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === viewer || button?.hasAttribute("data-close")) viewer.close();
    else if (button) step(Number(button.dataset.step));
  });
  addEventListener("keydown", (event) => {
    if (!viewer.open) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("close", () => current?.querySelector(".frame").focus());
  // A browser may restore the choices of an earlier visit.
  apply();
  // page.html#image-ID opens with that image enlarged.
  const linked = cards.find((card) => card.id === location.hash.slice(1));
  if (linked) show(linked);
}

