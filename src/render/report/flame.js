// The flamegraph and the dominator tree: both are the same lines, each with its depth, in depth-first order.
function nodes(lines) {
  const root = { words: "all", bytes: 0, objects: 0, below: [], above: null };
  const path = [root];
  for (const line of lines) {
    const node = { words: line.words, kind: line.kind, bytes: line.retained, objects: line.objects, below: [] };
    path.length = Math.min(path.length, line.depth + 1);
    node.above = path[path.length - 1];
    node.above.below.push(node);
    path.push(node);
  }
  for (const top of root.below) { root.bytes += top.bytes; root.objects += top.objects; }
  return root;
}

const HUES = { root: [38, 60], frame: [18, 75], held: [28, 70], more: [40, 8] };

function flame(parent, root) {
  const state = { by: "bytes", zoom: root, text: "" };
  const box = make("div", null, "flame");
  const said = make("p", "", "mono");
  said.id = "flame-said";
  const input = make("input");
  input.type = "search";
  input.id = "flame-search";
  input.placeholder = "search, as in a name or a path";
  const buttons = ["bytes", "objects"].map((by) => {
    const button = make("button", by);
    button.id = "flame-" + by;
    button.addEventListener("click", () => { state.by = by; draw(); });
    return button;
  });
  const out = make("button", "zoom out");
  out.id = "flame-out";
  out.addEventListener("click", () => { state.zoom = root; draw(); });
  input.addEventListener("input", () => { state.text = input.value.toLowerCase(); draw(); });
  add(parent, add(make("div", null, "tools"), input, ...buttons, out), box, said);
  const amount = (node) => `${bytes(node.bytes)} (${percent(node.bytes, root.bytes)}), ${count(node.objects)} objects`;
  function draw() {
    buttons.forEach((it) => it.setAttribute("aria-pressed", it.textContent === state.by));
    out.hidden = state.zoom === root;
    const width = box.clientWidth || 800;
    const cells = [];
    let [depth, found] = [0, 0];
    const above = [];
    for (let at = state.zoom; at; at = at.above) above.unshift(at);
    above.forEach((node, row) => cell(node, row, 0, 1));
    let todo = [[state.zoom, above.length, 0, 1]];
    while (todo.length) {
      const next = [];
      for (const [node, row, start, part] of todo) {
        let left = start;
        const all = Math.max(node[state.by], 1);
        for (const child of node.below) {
          const own = part * child[state.by] / all;
          if (own * width >= 1.5) { cell(child, row, left, own); next.push([child, row + 1, left, own]); }
          left += own;
        }
      }
      todo = next;
    }
    function cell(node, row, start, part) {
      depth = Math.max(depth, row + 1);
      const button = make("button", part * width > 28 ? node.words : "");
      const [hue, strong] = HUES[node.kind] ?? [200, 20];
      let hash = 0;
      for (const it of node.words) hash = (hash * 31 + it.codePointAt(0)) % 997;
      button.style.background = `hsl(${hue + hash % 14} ${strong}% ${72 + hash % 9}%)`;
      button.style.left = 100 * start + "%";
      button.style.width = `calc(${100 * part}% - 6px)`;
      button.style.top = 18 * row + "px";
      button.setAttribute("aria-label", shown(node.words) + ", " + amount(node));
      if (state.text && node.words.toLowerCase().includes(state.text)) { button.classList.add("found"); found += 1; }
      const say = () => { said.textContent = shown(node.words) + " — " + amount(node); };
      button.addEventListener("mouseenter", say);
      button.addEventListener("focus", say);
      button.addEventListener("click", () => { state.zoom = node; draw(); say(); });
      cells.push(button);
    }
    box.replaceChildren(...cells);
    box.style.height = 18 * depth + 4 + "px";
    said.textContent = state.text ? `${count(found)} found` : shown(state.zoom.words) + " — " + amount(state.zoom);
  }
  draw();
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
}

function tree(parent, root) {
  const box = make("div", null, "tree");
  add(parent, box);
  const most = 12;
  function level(into, node, depth) {
    const lines = node.below.slice().sort((a, b) => b.bytes - a.bytes);
    let from = 0;
    const show = () => {
      for (const child of lines.slice(from, from + most)) line(into, child, depth);
      from += most;
      if (from >= lines.length) return;
      const more = make("button", `and ${count(lines.length - from)} more`);
      more.style.paddingLeft = 9 + depth + "rem";
      more.addEventListener("click", () => { more.remove(); show(); });
      add(into, more);
    };
    show();
  }
  function line(into, node, depth) {
    const button = make("button");
    const mark = make("span", node.below.length ? "▸" : "", "mark");
    const words = add(make("span", null, "words mono"), mark, make("span", node.words));
    words.style.paddingLeft = Math.min(depth, 12) * .8 + "rem";
    const below = make("div");
    below.hidden = true;
    button.setAttribute("aria-expanded", "false");
    add(button, make("span", `${bytes(node.bytes)} · ${count(node.objects)}`, "size"), words);
    button.addEventListener("click", () => {
      if (!node.below.length) return;
      if (!below.firstChild) level(below, node, depth + 1);
      below.hidden = !below.hidden;
      mark.textContent = below.hidden ? "▸" : "▾";
      button.setAttribute("aria-expanded", String(!below.hidden));
    });
    add(into, button, below);
  }
  level(box, root, 0);
}
