"use strict";
// The theme, the viewer and the choices. 3Dmol.js draws: https://3dmol.csb.pitt.edu
(() => {
  const page = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const place = document.getElementById("viewer");
  const [colour, head] = ["colour", "head"].map((id) => document.getElementById(id));
  const vector = ([x, y, z]) => ({ x, y, z });
  const themed = (name) => getComputedStyle(page).getPropertyValue(name).trim();
  const label = (number) => `${data.classes[number].element} (site ${number + 1})`;

  function makeViewer() {
    const canvas = document.createElement("canvas");
    const viewer = canvas.getContext("webgl2") || canvas.getContext("webgl") ? $3Dmol.createViewer(place, { antialias: true }) : null;
    if (!viewer) {
      place.className = "absent";
      place.textContent = "The structure is not drawn: this browser has no WebGL.";
      return null;
    }
    const model = viewer.addModel();
    model.addAtoms(
      data.atoms.map((atom, serial) => ({ ...atom, serial, bondOrder: atom.bonds.map(() => 1), properties: { class: atom.class } })),
    );
    return viewer;
  }

  const viewer = makeViewer();

  // Between the colour of no contribution and those of the largest ones below and above.
  function shade(contribution) {
    const largest = Math.max(...data.classes.map((own) => Math.abs(own.contribution / own.count))) || 1;
    const [from, to] = ["--line", contribution < 0 ? "--main" : "--contrast"].map((name) => rgb(themed(name)));
    const share = Math.abs(contribution) / largest;
    return `rgb(${from.map((start, i) => Math.round(start + share * (to[i] - start))).join(",")})`;
  }

  function rgb(hex) {
    return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  }

  function elementColour(element) {
    return `#${($3Dmol.elementColors.Jmol[element] ?? 0x888888).toString(16).padStart(6, "0")}`;
  }

  function draw() {
    const each = data.classes.map((own) => (colour.value === "element" ? elementColour(own.element) : shade(own.contribution / own.count)));
    document.querySelectorAll("#classes .dot").forEach((dot, number) => (dot.style.background = each[number]));
    if (!viewer) return;
    viewer.setBackgroundColor(themed("--page"));
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    const paint = { colorfunc: (atom) => each[atom.properties.class] };
    viewer.setStyle({}, { sphere: { scale: 0.3, ...paint }, stick: { radius: 0.1, ...paint } });
    data.edges.forEach(([from, to]) => viewer.addLine({ start: vector(from), end: vector(to), color: themed("--quiet") }));
    if (head.value !== "") drawPairs(data.heads[head.value].pairs);
    viewer.render();
  }

  function drawPairs(pairs) {
    const largest = Math.max(...pairs.map((pair) => pair.weight));
    for (const pair of pairs) {
      const radius = 0.03 + 0.12 * (pair.weight / largest);
      const element = data.classes[pair.far].element;
      for (const to of pair.to) {
        const line = { start: vector(pair.from), end: vector(to), fromCap: 1, toCap: 1 };
        viewer.addCylinder({ ...line, radius, color: themed("--contrast"), opacity: 0.75 });
        viewer.addSphere({ center: vector(to), radius: 0.35, color: elementColour(element), opacity: 0.8 });
      }
    }
  }

  function listPairs() {
    const chosen = data.heads[head.value];
    document.getElementById("no-head").hidden = Boolean(chosen);
    document.getElementById("pairs").hidden = !chosen;
    if (!chosen) return;
    document.getElementById("self").textContent = chosen.self.toFixed(3);
    const rows = chosen.pairs.map((pair) => {
      const row = document.createElement("tr");
      const cells = [label(pair.near), label(pair.far), pair.distance.toFixed(3), pair.count, pair.weight.toPrecision(3)];
      cells.forEach((text, number) => {
        const cell = row.insertCell();
        cell.textContent = text;
        if (number > 1) cell.className = "number";
      });
      return row;
    });
    document.querySelector("#pairs tbody").replaceChildren(...rows);
  }

  function setTheme(isDark) {
    page.classList.toggle("dark", isDark);
    const button = document.getElementById("theme");
    button.textContent = isDark ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark));
    draw();
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => setTheme(!page.classList.contains("dark")));
  dark.addEventListener("change", ({ matches }) => setTheme(matches));
  addEventListener("beforeprint", () => setTheme(false));
  colour.addEventListener("change", draw);
  head.addEventListener("change", () => {
    listPairs();
    draw();
    if (viewer) {
      viewer.zoomTo();
      viewer.render();
    }
  });
  // First the head with the largest weight.
  const largest = data.heads.map(({ pairs }) => pairs[0]?.weight ?? 0);
  if (Math.max(...largest) > 0) head.value = largest.indexOf(Math.max(...largest));
  listPairs();
  setTheme(dark.matches);
  if (viewer) {
    viewer.rotate(-70, "x"); // c upwards, seen from a little above
    viewer.rotate(25, "y");
    viewer.rotate(10, "x");
    viewer.zoomTo();
    viewer.render();
  }
  page.dataset.ready = viewer ? "drawn" : "text";
})();
