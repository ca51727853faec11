// SPDX-License-Identifier: Apache-2.0
"use strict";
// Without this script all is there to read: the tables in their order, the layers of an image side by side.

// A viewer: one range wipes from each layer to the next.
for (const viewer of document.querySelectorAll(".viewer")) {
  const box = viewer.querySelector(".layers");
  const images = [...box.querySelectorAll("img")];
  const names = [...box.querySelectorAll(".layer span")].map((label) => label.textContent);
  const range = viewer.querySelector("input[type=range]");
  const stops = [...viewer.querySelectorAll(".stops button")];
  const edge = document.createElement("div");
  edge.className = "edge";
  box.append(edge);
  viewer.classList.add("stacked");
  viewer.querySelector(".control").hidden = false;

  const share = (index) => Math.min(1, Math.max(0, range.value / 100 - index + 1));
  const update = () => {
    images.forEach((image, index) => {
      if (index) image.style.clipPath = `inset(0 ${100 - 100 * share(index)}% 0 ${100 * share(index + 1)}%)`;
    });
    const low = Math.floor(range.value / 100);
    const part = range.value % 100;
    edge.hidden = !part;
    edge.style.left = `${part}%`;
    edge.dataset.left = names[low + 1] ?? "";
    edge.dataset.right = names[low];
    range.setAttribute("aria-valuetext", part ? `${part} % ${names[low + 1]}, the rest ${names[low]}` : names[low]);
    stops.forEach((stop) => stop.setAttribute("aria-pressed", String(stop.dataset.stop === range.value)));
  };
  const show = (value) => { range.value = value; update(); };
  range.addEventListener("input", update);
  for (const stop of stops) stop.addEventListener("click", () => show(stop.dataset.stop));

  // Pointing into the image wipes between the two layers that the range is at.
  const wipe = (event) => {
    const { left, width } = box.getBoundingClientRect();
    const low = Math.min(names.length - 2, Math.ceil(range.value / 100 || 1) - 1);
    const part = Math.min(100, Math.max(1, Math.round((100 * (event.clientX - left)) / width)));
    range.step = 1;
    show(100 * low + part);
    range.step = 5;
  };
  box.addEventListener("pointerdown", (event) => {
    box.setPointerCapture(event.pointerId);
    wipe(event);
  });
  box.addEventListener("pointermove", (event) => { if (event.buttons) wipe(event); });
  box.addEventListener("dragstart", (event) => event.preventDefault());
  update();
}

// A box that has nothing to scroll is no stop for the keyboard.
const measure = new ResizeObserver((entries) => {
  for (const { target: box } of entries) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll(".scroll")) measure.observe(box);

// The table of cases: sorted by a column, cases without a value last; filtered by a text and by findings.
const table = document.querySelector("table.cases");
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  for (const head of table.querySelectorAll("th[data-sort]")) {
    const numeric = head.dataset.sort === "number";
    const column = head.cellIndex;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "first" in head.dataset ? "ascending" : "none"); // as the page was written
    const key = (row) => {
      const cell = row.cells[column];
      return numeric ? parseFloat(cell.dataset.value ?? "NaN") : cell.textContent.trim();
    };
    const missing = (value) => value === "" || Number.isNaN(value);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const order = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true })) * (rising ? 1 : -1);
      const sorted = rows.map((row) => [key(row), row]);
      sorted.sort(([a], [b]) => missing(a) - missing(b) || (missing(a) ? 0 : order(a, b)));
      body.append(...sorted.map(([, row]) => row));
    });
  }
  const form = document.querySelector(".filter");
  const [words, kind, count] = ["input", "select", "output"].map((name) => form.querySelector(name));
  const filter = () => {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const text = [...row.querySelectorAll("th, .word")].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !text.includes(wanted)
        || Boolean(kind.value && !row.dataset.found.split(" ").includes(kind.value));
      shown += !row.hidden;
    }
    count.textContent = shown === rows.length ? `${shown} cases` : `${shown} of ${rows.length} cases`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const control of [words, kind]) control.addEventListener("input", filter);
  form.hidden = false;
  filter();
}
