"use strict";
// What all parts need. Text from the target is only ever set as textContent, with characters that could
// reorder or hide it made visible.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const shown = (text) =>
  String(text ?? "").replace(HIDDEN, (it) => "\\u" + it.charCodeAt(0).toString(16).padStart(4, "0"));

function make(tag, words, name) {
  const element = document.createElement(tag);
  if (words !== undefined && words !== null) element.textContent = shown(words);
  if (name) element.className = name;
  return element;
}

// Lines of text, of which each is shown by itself.
function block(lines) {
  const element = make("pre");
  element.textContent = lines.map(shown).join("\n");
  return element;
}

function add(parent, ...children) {
  for (const child of children) if (child) parent.append(child);
  return parent;
}

function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = Math.abs(size);
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return (size < 0 ? "−" : "") + (unit ? value.toFixed(value < 10 ? 2 : 1) : value.toFixed(0)) + " " + units[unit];
}

const count = (number) => Math.round(number).toLocaleString("en-US");
const percent = (part, all) => (all ? (100 * part / all).toFixed(1) : "0") + " %";
const seconds = (time) => (time < 1 ? (1000 * time).toFixed(1) + " ms" : time.toFixed(1) + " s");
const frame = (it) => (it ? `${it.function} (${it.file}:${it.line ?? "?"})` : "");
const chain = (it) => [it.root, it.frame ? frame(it.frame) : "", ...(it.path || [])].filter(Boolean).join(" › ");

function part(title, id) {
  const section = make("section");
  section.id = id;
  add(section, make("h2", title));
  const link = make("a", title);
  link.href = "#" + id;
  add(document.getElementById("nav"), link);
  add(document.getElementById("main"), section);
  return section;
}

function tile(label, value, more) {
  return add(make("div"), make("div", label, "dim"), make("div", value, "big"), more ? make("div", more, "dim") : null);
}

// A table that sorts by a click on a column's name and filters by what is typed. A column is a name, a function
// for the value, and for numbers one for the words.
function table(parent, columns, rows, options = {}) {
  const state = { by: options.by ?? columns.findIndex((it) => it.words), down: true, text: "", most: options.most ?? 25 };
  const box = make("div", null, "scroll");
  const tools = make("div", null, "tools");
  if (options.filter) {
    const input = make("input");
    input.type = "search";
    input.placeholder = options.filter;
    input.setAttribute("aria-label", options.filter);
    input.addEventListener("input", () => { state.text = input.value.toLowerCase(); draw(); });
    add(tools, input);
  }
  const more = make("button");
  more.addEventListener("click", () => { state.most *= 4; draw(); });
  add(parent, options.filter ? tools : null, box, add(make("div", null, "tools"), more));
  function draw() {
    const matches = rows.filter((row) => !state.text || columns.some((it) => !it.words && String(it.of(row)).toLowerCase().includes(state.text)));
    const of = columns[state.by]?.of ?? (() => 0);
    const order = (a, b) => { const [x, y] = [of(a) ?? -1, of(b) ?? -1]; return x < y ? -1 : x > y ? 1 : 0; };
    matches.sort((a, b) => (state.down ? order(b, a) : order(a, b)));
    const grid = make("table");
    const head = make("tr");
    columns.forEach((column, index) => {
      const cell = make("th", null, (column.words ? "num" : "") + (column.wide ? " wide" : ""));
      const button = make("button", column.name);
      button.setAttribute("aria-pressed", index === state.by);
      button.addEventListener("click", () => {
        state.down = state.by === index ? !state.down : Boolean(column.words);
        state.by = index;
        draw();
      });
      add(head, add(cell, button));
    });
    add(grid, add(make("thead"), head));
    const body = make("tbody");
    for (const row of matches.slice(0, state.most)) {
      const line = make("tr");
      for (const column of columns) {
        const value = column.of(row);
        const words = column.words ? (value === null || value === undefined ? "" : column.words(value)) : value;
        add(line, make("td", words, (column.words ? "num" : "name") + (column.wide ? " wide" : "")));
      }
      add(body, line);
    }
    box.replaceChildren(add(grid, body));
    const rest = matches.length - state.most;
    more.hidden = rest <= 0;
    more.textContent = `and ${count(rest)} more`;
  }
  draw();
  if (options.left > 0) add(parent, make("p", `${count(options.left)} more are not in this file.`, "dim"));
}
