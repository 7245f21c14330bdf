// The parts of the report, in order. Each is left out where the data has nothing for it.
function heading(data) {
  const { pid, command, python, time_s: time } = data.heap;
  document.title = `leakspy · process ${pid}`;
  add(document.getElementById("head"), make("span", `process ${pid} `), make("code", command),
    make("span", ` Python ${python} · ${new Date(1000 * time).toISOString().replace("T", " ").slice(0, 19)} UTC`, "dim"));
}

function verdicts(data) {
  const hunt = data.hunt;
  if (!hunt) return;
  const section = part("Verdict", "verdict");
  const leaks = hunt.findings.length;
  add(section, make("p", leaks ? `${leaks} ${leaks === 1 ? "leak" : "leaks"} found.` : "No leak found.", "big"));
  add(section, block(data.verdict_text.split("\n")));
}

function overview(data) {
  const section = part("Overview", "overview");
  const { heap, mem, waste, cycles, hunt } = data;
  const total = data.total;
  const tiles = make("div", null, "tiles");
  add(tiles, tile("resident set", heap.rss_bytes ? bytes(heap.rss_bytes) : "not known"),
    tile("Python objects", count(total.objects), bytes(total.bytes)),
    waste ? tile("could be saved", bytes(waste.saved), percent(waste.saved, waste.bytes)) : null,
    cycles ? tile("garbage", count(cycles.garbage_objects), bytes(cycles.garbage_bytes)) : null,
    hunt ? tile("resident set grows", bytes(3600 * hunt.rss_bytes_per_s) + "/h", `over ${seconds(hunt.duration_s)}, ${hunt.captures} captures`) : null,
    tile("pause", seconds(heap.pause_s)));
  add(section, tiles);
  if (!mem) { add(section, make("p", "What the resident set is made of is not known.", "dim")); return; }
  const parts = data.shares.filter((it) => it.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  const bar = make("div", null, "stack");
  bar.setAttribute("aria-hidden", "true");
  parts.forEach((it, index) => {
    const piece = make("span");
    piece.style.width = 100 * it.bytes / Math.max(mem.rss_bytes, 1) + "%";
    piece.style.background = `hsl(${(18 + 47 * index) % 360} 45% 58%)`;
    add(bar, piece);
  });
  add(section, make("h3", "What memory is made of"), bar);
  table(section, [{ name: "part", of: (it) => it.name }, { name: "bytes", of: (it) => it.bytes, words: bytes },
    { name: "share", of: (it) => it.bytes, words: (it) => percent(it, mem.rss_bytes) }], parts);
}

// The resident set of each process: a line, and what it comes to.
function overTime(data) {
  const time = data.timeline;
  if (!time) return;
  const section = part("Memory over time", "timeline");
  const [width, height] = [1000, 240];
  const sizes = time.series.flatMap((it) => it.points.map((point) => point[1]));
  const top = sizes.reduce((a, b) => Math.max(a, b), 0);
  // Small changes look flat.
  const low = Math.max(0, Math.min(sizes.reduce((a, b) => Math.min(a, b), top), 0.95 * top));
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const colour = (index) => `hsl(${(18 + 47 * index) % 360} 55% 50%)`;
  for (const [name, value] of [["viewBox", `0 0 ${width} ${height}`], ["preserveAspectRatio", "none"], ["role", "img"],
    ["class", "chart"], ["aria-label", "resident set over time"]]) picture.setAttribute(name, value);
  time.series.forEach((it, index) => {
    const line = document.createElementNS(space, "polyline");
    const place = ([at, size]) => [width * at / time.end_s, height - height * (size - low) / Math.max(top - low, 1)];
    line.setAttribute("points", it.points.map((point) => place(point).map((one) => one.toFixed(1)).join(",")).join(" "));
    line.setAttribute("stroke", colour(index));
    picture.append(line);
  });
  const began = new Date(1000 * time.begin_s).toISOString().replace("T", " ").slice(0, 19);
  add(section, make("p", `Resident set, ${bytes(low)} to ${bytes(top)}, for ${seconds(time.end_s)} from ${began} UTC.`, "dim"),
    picture);
  time.series.forEach((it, index) => {
    const mark = make("span", "■ ");
    mark.style.color = colour(index);
    add(section, add(make("p", null, "mono"), mark, make("span", `${it.name}: ${it.words}`)));
  });
  if (time.more) add(section, make("p", `${count(time.more)} more processes are not drawn.`, "dim"));
}

function objects(data) {
  const root = nodes(data.tree.lines);
  const live = part("Live objects", "live");
  add(live, make("p", "Each box is as wide as what it retains: thread or module, variable, attribute, type. Click to zoom.", "dim"));
  flame(live, root);
  const types = part("Types", "types");
  table(types, [{ name: "type", of: (it) => it.type }, { name: "objects", of: (it) => it.count, words: count },
    { name: "bytes", of: (it) => it.shallow + it.external, words: bytes },
    { name: "retained", of: (it) => it.retained, words: bytes, wide: true }],
    data.heap.types, { by: 2, filter: "filter by name", left: data.heap.more_types });
  const dominators = part("Dominator tree", "dominators");
  add(dominators, make("p", "What each retains: it would be freed with it.", "dim"));
  tree(dominators, root);
  if (data.tree.more) add(dominators, make("p", `${count(data.tree.more)} smaller branches are summed up.`, "dim"));
  const largest = part("Largest objects", "largest");
  table(largest, [{ name: "type", of: (it) => it.type }, { name: "retained", of: (it) => it.retained, words: bytes },
    { name: "objects", of: (it) => it.objects, words: count, wide: true }, { name: "reference chain", of: chain }],
    data.heap.largest, { by: 1 });
  const points = data.points;
  if (!points.length) return;
  const section = part("Accumulation points", "points");
  add(section, make("p", "Places below which most objects pile up.", "dim"));
  table(section, [{ name: "place", of: (it) => it.path }, { name: "objects", of: (it) => it.objects, words: count },
    { name: "retained", of: (it) => it.retained, words: bytes }], points, { by: 1 });
}

function needless(data) {
  const waste = data.waste;
  if (!waste) return;
  const section = part("Waste", "waste");
  add(section, make("p", `${bytes(waste.saved)} of ${bytes(waste.bytes)} could be saved.`));
  table(section, [{ name: "what", of: (it) => it.words }, { name: "objects", of: (it) => it.objects, words: count },
    { name: "saved", of: (it) => it.saved, words: bytes }], waste.kinds, { by: 2 });
  table(section, [{ name: "type", of: (it) => it.type }, { name: "where", of: (it) => it.place },
    { name: "objects", of: (it) => it.objects, words: count, wide: true },
    { name: "saved", of: (it) => it.saved, words: bytes }, { name: "what to do", of: (it) => it.advice }],
    waste.findings, { by: 3, filter: "filter by type, place or advice", left: waste.more });
}

function made(types) {
  const some = types.slice(0, 6).map((one) => `${count(one.count)} ${one.type}`).join(", ");
  return types.length > 6 ? `${some}, and ${types.length - 6} more types` : some;
}

function collectors(data) {
  const cycles = data.cycles;
  if (!cycles) return;
  const section = part("Cycles", "cycles");
  add(section, make("p", `${count(cycles.cycles)} cycles, ${count(cycles.garbage_cycles)} of them garbage.`));
  table(section, [{ name: "fate", of: (it) => it.fate },
    { name: "made of", of: (it) => made(it.types) },
    { name: "held by", of: (it) => it.entry ?? "", wide: true }, { name: "cycles", of: (it) => it.cycles, words: count },
    { name: "retained", of: (it) => it.retained, words: bytes }], cycles.patterns, { by: 4, left: cycles.more_patterns });
  cycles.collectors.forEach((it) => {
    add(section, make("h3", `The collector is ${it.enabled ? "on" : "off"}; ${count(it.frozen)} objects are frozen.`));
    const generations = it.generations.map((one, index) => ({ ...one, name: ["young", "middle", "old"][index] }));
    table(section, [{ name: "generation", of: (one) => one.name }, { name: "count", of: (one) => one.count, words: count },
      { name: "threshold", of: (one) => one.threshold, words: count }, { name: "collections", of: (one) => one.collections, words: count },
      { name: "collected", of: (one) => one.collected, words: count, wide: true }], generations, { by: 3 });
  });
}

function threads(data) {
  if (!data.threads) return;
  const section = part("Threads", "threads");
  for (const thread of data.threads.threads) {
    const state = [thread.holds_gil ? "holds the GIL" : "", thread.running ? "running" : "waiting"].filter(Boolean).join(", ");
    add(section, make("h3", `${thread.name ?? "thread"} (${state})`));
    add(section, block(thread.stack.length ? thread.stack.map(frame) : ["no Python frame"]));
  }
}

function method(data) {
  const section = part("How it was taken", "method");
  const { heap } = data;
  add(section, make("p", `The process was paused for ${seconds(heap.pause_s)}, in which ${bytes(heap.copied_bytes ?? 0)} were copied; everything else was computed afterwards, from outside. Nothing ran in it and nothing was written into it.`),
    make("p", "Sizes are those of sys.getsizeof with the collector's header, and buffers outside objects. What an object retains follows from the dominator tree: shared objects count where all their holders meet."),
    make("p", "Values of the program are not in this file; names, and short keys of dicts, are. Rows that were cut are counted."),
    make("p", `leakspy ${data.leakspy}`, "dim"));
}

async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent.trim()), (it) => it.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

unpack().then((data) => {
  document.getElementById("wait").remove();
  heading(data);
  for (const show of [verdicts, overview, overTime, objects, needless, collectors, threads, method]) show(data);
  document.body.dataset.ready = "true";
}).catch((error) => {
  document.getElementById("main").textContent = "The figures in this file cannot be unpacked: " + error;
  throw error;
});
