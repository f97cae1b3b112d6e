"use strict";
// Shows the images that the page's index lists: filters, order, pages, overlays, the enlarged view.
// All of that stands in the address, behind "#", so that a link shows what its sender saw.
const index = JSON.parse(document.getElementById("index").textContent);
const sheet = document.querySelector(".sheet");
const PER_PAGE = 96;
const OVERLAYS = { l: "landmarks", b: "box", p: "pose", m: "mask", e: "before" };

// Labels lie in files beside the page, each of which calls takeLabels.
const files = new Map();

function takeLabels(number, labels) {
  files.get(number).resolve(labels);
}

function labelOf(image) {
  const number = Math.floor(image / index.perFile);
  if (!files.has(number)) {
    const file = {};
    file.labels = new Promise((resolve, reject) => Object.assign(file, { resolve, reject }));
    files.set(number, file);
    const script = document.createElement("script");
    script.src = `${index.labels}/${String(number).padStart(5, "0")}.js`;
    script.onerror = () => file.reject(new Error(`${script.src} is missing`));
    document.head.append(script);
  }
  return files.get(number).labels.then((labels) => labels[image % index.perFile]);
}

function pictureOf(image) {
  const id = index.ids[image];
  return `${index.pictures}/${id.slice(0, 2)}/${id}.jpg`;
}

const facet = (name) => index.facets.find((one) => one.name === name);
const valueOf = (name, image) => facet(name).values[facet(name).of[image]];
const authorOf = (image) => index.authors.values[index.authors.of[image]];

// Drawing

function draw(canvas, label, shown) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  const context = canvas.getContext("2d");
  // As `object-fit: contain` lays the picture: whole, in the middle.
  const scale = Math.min(width / label.size[0], height / label.size[1]);
  const left = (width - label.size[0] * scale) / 2;
  const top = (height - label.size[1] * scale) / 2;
  const x = (value) => left + value * scale;
  const y = (value) => top + value * scale;
  const thick = width > 400 ? 1.6 : 1;

  context.scale(devicePixelRatio, devicePixelRatio);
  context.lineCap = context.lineJoin = "round";

  function line(points, name, wide) {
    context.strokeStyle = colour(name);
    context.lineWidth = wide * thick;
    context.beginPath();
    for (const [x1, y1, x2, y2] of points) {
      context.moveTo(x(x1), y(y1));
      context.lineTo(x(x2), y(y2));
    }
    context.stroke();
  }

  function dots(points, isDrawn, name, radius) {
    context.fillStyle = colour(name);
    for (let i = 0; 2 * i < points.length; i += 1) {
      if (!isDrawn(i)) continue;
      context.beginPath();
      context.arc(x(points[2 * i]), y(points[2 * i + 1]), radius * thick, 0, 2 * Math.PI);
      context.fill();
    }
  }

  if (shown.has("mask")) {
    const lay = new DOMMatrix([scale, 0, 0, scale, left, top]);
    context.strokeStyle = colour("mask");
    context.lineWidth = 1.5 * thick;
    context.setLineDash([5, 3]);
    for (const outline of label.masks) {
      const path = new Path2D();
      path.addPath(new Path2D(outline), lay);
      context.stroke(path);
    }
    context.setLineDash([]);
  }
  for (const { box, points, seen, axes, before } of label.faces) {
    const at = (i) => [points[2 * i], points[2 * i + 1]];
    if (shown.has("box")) {
      context.strokeStyle = colour("box");
      context.lineWidth = 1.5 * thick;
      context.strokeRect(x(box[0]), y(box[1]), box[2] * scale, box[3] * scale);
    }
    if (shown.has("landmarks") && seen) {
      const edges = index.edges.filter((edge) => edge.every((i) => seen[i] !== "-"));
      context.globalAlpha = 0.85;
      line(edges.map(([a, b]) => [...at(a), ...at(b)]), "landmark", 0.9);
      context.globalAlpha = 1;
      dots(points, (i) => seen[i] === ".", "landmark", 1);
      dots(points, (i) => seen[i] === "?", "weak", 1.5);
    }
    if (shown.has("before") && before) {
      const moves = Array.from(seen, (_, i) => [before[2 * i], before[2 * i + 1], ...at(i)]);
      const isMoved = ([x1, y1, x2, y2]) => Math.hypot(x2 - x1, y2 - y1) > 0.5;
      line(moves.filter(isMoved), "before", 0.9);
      dots(before, (i) => isMoved(moves[i]), "before", 1.1);
    }
    if (shown.has("pose") && axes.length) {
      const [x0, y0, ...ends] = axes;
      ["side", "top", "nose"].forEach((name, i) => {
        line([[x0, y0, ends[2 * i], ends[2 * i + 1]]], name, 2.4);
      });
    }
  }
}

// The contact sheet

function start() {
  const form = document.querySelector(".controls");
  const fields = form.elements;
  const output = form.querySelector("output");
  const pager = document.querySelector(".pager");
  const viewer = document.getElementById("viewer");
  const body = viewer.querySelector(".viewer-body");
  const all = [...index.ids.keys()];
  const draws = document.getElementById("draws");
  const drawsAmongImages = draws.parentElement;
  const filters = index.facets.map((one) => one.name).filter((name) => fields[name]);
  const overlays = Object.values(OVERLAYS).filter((name) => fields[name]);
  let order = all;
  let from = 0;
  let current = null;
  let isReading = false;
  // The address that Back leads to from the enlarged image; none where a link led straight to it.
  let below = history.state?.below;

  const overlaysShown = () => new Set(overlays.filter((name) => fields[name].checked));
  const missing = () => { output.textContent = "Files beside this page are missing: make it again."; };

  // Draws an image's labels on a canvas, as soon as they are there.
  function drawOn(canvas, image) {
    labelOf(image).then((label) => {
      if (!canvas.isConnected) return;
      canvas.parentElement.querySelector("img").alt = label.alt;
      draw(canvas, label, overlaysShown());
    }, missing);
  }

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      target.classList.toggle("near", isIntersecting);
      if (isIntersecting) drawOn(target.querySelector("canvas"), Number(target.dataset.image));
    }
  }, { rootMargin: "300px" });

  function redraw() {
    for (const card of sheet.querySelectorAll(".near")) {
      drawOn(card.querySelector("canvas"), Number(card.dataset.image));
    }
    if (viewer.open) drawOn(body.querySelector("canvas"), current);
  }

  function matches(image, text) {
    return filters.every((name) => !fields[name].value || valueOf(name, image) === fields[name].value)
      && (!text || index.ids[image].startsWith(text) || authorOf(image).toLowerCase().includes(text));
  }

  function choose() {
    const text = fields.text.value.trim().toLowerCase();
    const [, minus, name] = /^(-?)(.*)$/.exec(fields.sort.value);
    const numbers = index.numbers[name];
    const sign = minus ? -1 : 1;
    // What was not measured comes last either way.
    const key = (image) => (numbers[image] === null ? Infinity : sign * numbers[image]);
    order = all.filter((image) => matches(image, text)).sort((a, b) => key(a) - key(b) || a - b);
  }

  function element(name, className, ...content) {
    const made = document.createElement(name);
    made.className = className;
    made.append(...content);
    return made;
  }

  function framed(image, tag) {
    const picture = element("img", "");
    Object.assign(picture, { loading: "lazy", decoding: "async", src: pictureOf(image) });
    picture.alt = `Image ${index.ids[image].slice(0, 8)}`;
    const frame = element(tag, "frame", picture, element("canvas", ""));
    frame.lastChild.ariaHidden = "true";
    return frame;
  }

  function cardOf(image) {
    const frame = framed(image, "button");
    frame.type = "button";
    frame.ariaHasPopup = "dialog";
    const error = index.numbers.uncertainty[image];
    const certain = element("b", "", index.numbers.confidence[image].toFixed(2));
    certain.title = "mean landmark confidence of the least certain face";
    const caption = element("p", "caption", certain);
    if (valueOf("split", image)) caption.append(element("span", "chip", valueOf("split", image)));
    if (valueOf("verdict", image) !== "released") {
      caption.append(element("span", "chip bad", valueOf("verdict", image)));
    }
    if (error !== null) {
      const chip = element("span", "error", `±${(100 * error).toFixed(1)} %`);
      chip.title = "expected error, of the eye corners' distance";
      caption.append(chip);
    }
    const credit = element("p", "credit", `${authorOf(image)}, ${valueOf("licence", image)}`);
    const card = element("li", "card", frame, caption, credit);
    card.dataset.image = image;
    return card;
  }

  function fill() {
    near.disconnect();
    const page = order.slice(from, from + PER_PAGE);
    sheet.replaceChildren(...page.map(cardOf));
    for (const card of sheet.children) near.observe(card);
    const count = `${order.length}${order.length < all.length ? ` of ${all.length}` : ""} shown`;
    output.textContent = count;
    document.querySelector(".none").hidden = order.length > 0;
    pager.hidden = order.length <= PER_PAGE;
    pager.querySelector("span").textContent =
      `${from + 1} to ${from + page.length} of ${order.length}`;
    pager.querySelector("[data-page='-1']").disabled = from === 0;
    pager.querySelector("[data-page='1']").disabled = from + PER_PAGE >= order.length;
  }

  // The address says what is shown, and is read back.

  function write() {
    const state = new URLSearchParams();
    for (const name of [...filters, "text"]) if (fields[name].value) state.set(name, fields[name].value);
    if (fields.sort.selectedIndex > 0) state.set("sort", fields.sort.value);
    const drawn = [...overlaysShown()].join(" ");
    if (drawn !== "landmarks box") state.set("draw", drawn || "nothing");
    if (from) state.set("from", from);
    if (viewer.open) state.set("image", index.ids[current]);
    const address = state.size ? `#${state}` : location.pathname + location.search;
    history.replaceState(history.state, "", address);
  }

  function read() {
    const state = new URLSearchParams(location.hash.slice(1));
    isReading = true;
    form.reset();
    isReading = false;
    for (const name of [...filters, "text", "sort"]) {
      if (state.has(name)) fields[name].value = state.get(name);
    }
    if (fields.sort.selectedIndex < 0) fields.sort.selectedIndex = 0;
    for (const name of overlays) {
      if (state.has("draw")) fields[name].checked = state.get("draw").split(" ").includes(name);
    }
    choose();
    const wanted = Number(state.get("from"));
    from = wanted > 0 && wanted < order.length ? wanted - (wanted % PER_PAGE) : 0;
    fill();
    const image = index.ids.indexOf(state.get("image") ?? "");
    if (image >= 0) show(image);
    else if (viewer.open) viewer.close();
  }

  // The enlarged view

  function show(image) {
    current = image;
    if (!order.includes(image)) order = [image, ...order];
    const frame = framed(image, "div");
    const facts = element("dl", "facts");
    body.replaceChildren(frame, facts);
    viewer.querySelector("h2").textContent = `Image ${order.indexOf(image) + 1} of ${order.length}`;
    if (!viewer.open) {
      viewer.querySelector(".viewer-bar").after(draws);
      viewer.showModal();
    }
    drawOn(frame.querySelector("canvas"), image);
    labelOf(image).then((label) => {
      if (current !== image) return;
      frame.style.aspectRatio = `${label.size[0]} / ${label.size[1]}`;
      facts.replaceChildren(...label.facts.map(([name, value]) =>
        element("div", "", element("dt", "", name), element("dd", "", value))));
      drawOn(frame.querySelector("canvas"), image);
    }, missing);
    write();
  }

  function enlarge(image) {
    below = location.href;
    history.pushState({ below }, "");
    show(image);
  }

  function step(by) {
    show(order[(order.indexOf(current) + by + order.length) % order.length]);
  }

  function goTo(section, hash) {
    history.pushState(null, "", location.hash.includes("=") ? location.hash : hash);
    section.tabIndex = -1;
    section.focus({ preventScroll: true });
    section.addEventListener("blur", () => section.removeAttribute("tabindex"), { once: true });
    section.scrollIntoView();
  }

  function turn(to) {
    from = to;
    fill();
    write();
    document.getElementById("images").scrollIntoView();
  }

  form.querySelector(".filters").addEventListener("input", () => {
    choose();
    from = 0;
    fill();
    write();
  });
  draws.addEventListener("input", () => {
    redraw();
    write();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    if (isReading) return;
    // The fields are reset after this event.
    setTimeout(() => {
      choose();
      from = 0;
      fill();
      write();
    });
  });
  sheet.addEventListener("click", (event) => {
    const card = event.target.closest(".frame")?.closest(".card");
    if (card) enlarge(Number(card.dataset.image));
  });
  pager.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) turn(from + PER_PAGE * Number(button.dataset.page));
  });
  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === viewer || button?.hasAttribute("data-close")) viewer.close();
    else if (button) step(Number(button.dataset.step));
  });
  viewer.addEventListener("close", () => {
    drawsAmongImages.prepend(draws);
    const place = order.indexOf(current);
    if (place < from || place >= from + PER_PAGE) {
      from = place - (place % PER_PAGE);
      fill();
    }
    if (history.state?.below) history.back();
    else write();
    // Whoever came by a link elsewhere on the page is back at it.
    if (document.activeElement === document.body || sheet.contains(document.activeElement)) {
      sheet.querySelector(`[data-image="${current}"] .frame`)?.focus();
    }
  });

  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input[type=search], select");
    const card = event.target.closest?.(".card");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !(viewer.open || card)) return;
    const columns = getComputedStyle(sheet).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const overlay = fields[OVERLAYS[event.key]];
    if (overlay) overlay.click();
    else if (viewer.open && Math.abs(by) === 1) step(by);
    else if (!viewer.open && by) {
      const next = sheet.children[[...sheet.children].indexOf(card) + by];
      if (!next) return;
      next.querySelector(".frame").focus();
      event.preventDefault();
    }
  });
  new ResizeObserver(redraw).observe(sheet);
  new ResizeObserver(redraw).observe(body);
  addEventListener("popstate", () => {
    const isClosing = location.href === below;
    below = history.state?.below;
    // What was switched and turned to at the enlarged image stays.
    if (!isClosing) read();
    else if (viewer.open) viewer.close();
    else write();
  });
  // A link to an image or a section says nothing of what else is shown, and leaves it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const image = index.ids.indexOf(link.hash.slice("#image=".length));
    const section = document.getElementById(link.hash.slice(1));
    if (image < 0 && !section) return;
    event.preventDefault();
    if (section) goTo(section, link.hash);
    else enlarge(image);
  });
  if (innerWidth < 640) form.querySelector(".filters").open = false;
  read();
  // Where a link leads moves away when the images come in before it.
  if (/^#[\w-]+$/.test(location.hash)) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

if (sheet) start();
