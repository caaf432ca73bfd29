"use strict";
// The tables, the choices, the theme and the charts. The leaderboard comes first: the large library of the charts is read
// after it, and a chart is drawn when it comes into view.

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const chosen = {};
const charts = [...document.querySelectorAll(".chart")];
const shown = new Set();
const stored = new Map([...document.querySelectorAll("script.data")].map((element) => [element.dataset.key, element]));

// Theme: what the system prefers, until the button is pressed. The class "dark" is that of DataTables.
function setTheme(isDark) {
  root.classList.toggle("dark", isDark);
  const button = document.getElementById("theme");
  button.textContent = isDark ? "Light" : "Dark";
  button.setAttribute("aria-pressed", String(isDark));
  shown.forEach(draw);
}

function colour(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

// A chart with the colours of the theme in place of their names.
function chartOf(key) {
  const isName = /^var\((--[\w-]+)\)$/;
  return JSON.parse(stored.get(key).textContent, (_, value) => {
    const name = typeof value === "string" && value.match(isName);
    return name ? colour(name[1]) : value;
  });
}

function themed(layout, isNarrow) {
  const lines = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--quiet") };
  const base = {
    font: { family: getComputedStyle(document.body).fontFamily, size: isNarrow ? 10 : 12, color: colour("--text") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--text") } },
    xaxis: lines,
    yaxis: lines,
  };
  return { margin: { l: 20, r: 10, t: 40, b: 20 }, ...layout, template: { layout: base } };
}

function draw(element) {
  const { chart, by } = element.dataset;
  const key = by ? `${chart}/${chosen[by]}` : chart;
  element.hidden = !stored.has(key);
  if (element.hidden) return;
  const { data, layout, words } = chartOf(key);
  element.setAttribute("aria-label", words);
  Plotly.react(element, data, themed(layout, element.clientWidth < 500), { responsive: true, displaylogo: false, displayModeBar: "hover" });
}

function drawCharts() {
  const inView = new IntersectionObserver(
    (entries) =>
      entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
        inView.unobserve(target);
        shown.add(target);
        draw(target);
      }),
    { rootMargin: "300px" },
  );
  charts.forEach((element) => inView.observe(element));
}

// Several selects may make the same choice; they agree.
function choose(name, value) {
  chosen[name] = value;
  document.querySelectorAll(`select[data-choice="${name}"]`).forEach((select) => (select.value = value));
  document.querySelectorAll(`[data-${name}]`).forEach((element) => {
    element.hidden = element.dataset[name] !== value;
  });
  shown.forEach((element) => element.dataset.by === name && draw(element));
}

// All values of a row, headings and cells, below the row.
function valuesOf(table, row) {
  const list = document.createElement("dl");
  table.columns(":gt(0)").every(function () {
    const [title, value] = [document.createElement("dt"), document.createElement("dd")];
    title.textContent = this.header().textContent.trim();
    value.textContent = table.cell(row, this.index()).node().textContent.replace(/\s+/g, " ").trim();
    list.append(title, value);
  });
  return list;
}

async function makeTables() {
  const source = document.getElementById("datatables").textContent;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: DataTable } = await import(url);
  const common = (n) => ({ paging: n > 25, info: n > 25, pageLength: 25, order: [], autoWidth: false, scrollX: true });
  const isNarrow = matchMedia("(max-width: 700px)").matches;
  const leaderboard = document.getElementById("leaderboard");
  const table = new DataTable(leaderboard, {
    ...common(leaderboard.tBodies[0].rows.length),
    columnDefs: [
      { targets: 0, orderable: false, searchable: false },
      { targets: isNarrow ? ":not(.first)" : ":not(.brief)", visible: false },
    ],
    layout: {
      topStart: { buttons: [{ extend: "colvis", text: "Columns", columns: ":gt(0)" }] },
      topEnd: { search: { text: "Filter _INPUT_" } },
    },
  });
  leaderboard.addEventListener("click", ({ target }) => {
    if (!target.classList.contains("more")) return;
    const row = table.row(target.closest("tr"));
    if (row.child.isShown()) row.child.hide();
    else row.child(valuesOf(table, row.node()), "values").show();
    target.setAttribute("aria-expanded", String(row.child.isShown()));
  });
  const trials = document.getElementById("trials");
  const make = () => new DataTable(trials, common(trials.tBodies[0].rows.length));
  trials.closest("details").addEventListener("toggle", make, { once: true });
  root.dataset.ready = "tables";
}

document.getElementById("theme").addEventListener("click", () => setTheme(!root.classList.contains("dark")));
dark.addEventListener("change", ({ matches }) => setTheme(matches));
document.addEventListener("change", ({ target }) => target.dataset.choice && choose(target.dataset.choice, target.value));
document.querySelectorAll("select[data-choice]").forEach((select) => choose(select.dataset.choice, select.value));
// Paper is white and has no hidden parts.
let darkBeforePrint = false;
addEventListener("beforeprint", () => {
  darkBeforePrint = root.classList.contains("dark");
  charts.forEach((element) => shown.add(element));
  document.querySelectorAll("details").forEach((element) => (element.open = true));
  setTheme(false);
});
addEventListener("afterprint", () => setTheme(darkBeforePrint));
setTheme(dark.matches);
makeTables().then(() =>
  setTimeout(() => {
    const library = document.createElement("script");
    library.textContent = document.getElementById("plotly").textContent;
    document.head.append(library);
    drawCharts();
  }, 50), // first let the reader see and use the table
);
