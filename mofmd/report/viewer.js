"use strict";
// Ball-and-stick view on a 2D canvas: no library, no network. Drag to turn, wheel or two fingers to zoom.
function startViewer(canvas, data) {
  const FOG_LEVELS = 8;
  const SPRITE = 64; // pixels across a drawn sphere, which is then scaled
  const bytes = Uint8Array.from(atob(data.positions), (c) => c.charCodeAt(0));
  const xyz = new Float32Array(bytes.buffer);
  const n = xyz.length / 3;
  const context = canvas.getContext("2d");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const panel = canvas.closest(".viewer");
  // atoms by element, or by a number of theirs: kinds with colours, and the kind of each atom
  let kinds = data.shade || data;
  let turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  let zoom = 1;
  let queued = false;
  let printing = false;
  let hydrogens = true;
  let sprites = [];
  let background = [255, 255, 255];

  function multiply(a, b) {
    const c = new Array(9).fill(0);
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++)
        for (let k = 0; k < 3; k++) c[3 * i + j] += a[3 * i + k] * b[3 * k + j];
    return c;
  }

  function rotate(dx, dy) {
    const [cx, sx, cy, sy] = [Math.cos(dx), Math.sin(dx), Math.cos(dy), Math.sin(dy)];
    turn = multiply([cx, 0, sx, 0, 1, 0, -sx, 0, cx], turn);
    turn = multiply([1, 0, 0, 0, cy, -sy, 0, sy, cy], turn);
    queue();
  }

  // looks along one edge of the cell, the next one to the right
  function lookAlong(k) {
    const unit = (v) => v.map((x) => x / Math.hypot(...v));
    const z = unit(data.cell[k]);
    const right = data.cell[(k + 1) % 3];
    const along = right[0] * z[0] + right[1] * z[1] + right[2] * z[2];
    const x = unit(right.map((value, i) => value - along * z[i]));
    const y = [z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]];
    turn = [...x, ...y, ...z];
    queue();
  }

  function zoomBy(factor) {
    zoom = Math.max(0.3, Math.min(12, zoom * factor));
    queue();
  }

  function queue() {
    if (!queued) {
      queued = true;
      requestAnimationFrame(draw);
    }
  }

  function mix(colour, other, share) {
    return colour.map((c, i) => Math.round(c + (other[i] - c) * share));
  }

  const css = (colour) => `rgb(${colour.join(",")})`;

  // a shaded sphere of each element at each distance
  function prepare() {
    background = dark.matches && !printing ? [21, 26, 33] : [255, 255, 255];
    sprites = kinds.elements.map((element) =>
      Array.from({ length: FOG_LEVELS }, (_, level) => {
        const colour = mix(element.colour, background, fogOf(level));
        const sprite = document.createElement("canvas");
        sprite.width = sprite.height = SPRITE;
        const pen = sprite.getContext("2d");
        const half = SPRITE / 2;
        const light = pen.createRadialGradient(0.7 * half, 0.65 * half, 1, half, half, half);
        light.addColorStop(0, css(mix(colour, mix([255, 255, 255], background, fogOf(level)), 0.55)));
        light.addColorStop(0.55, css(colour));
        light.addColorStop(1, css(mix(colour, background[0] > 128 ? [30, 34, 42] : [0, 0, 0], 0.45 * (1 - fogOf(level)))));
        pen.fillStyle = light;
        pen.beginPath();
        pen.arc(half, half, half - 0.5, 0, 2 * Math.PI);
        pen.fill();
        return sprite;
      }),
    );
  }

  const fogOf = (level) => (0.7 * level) / (FOG_LEVELS - 1);

  function levelOf(depth) {
    const fog = Math.max(0, Math.min(1, 0.3 - (0.65 * depth) / data.radius));
    return Math.round(fog * (FOG_LEVELS - 1));
  }

  function project(x, y, z, out) {
    const [a, b, c, d, e, f, g, h, i] = turn;
    const depth = g * x + h * y + i * z;
    // perspective from three times the radius of the scene
    const scale = (out.scale * 3 * data.radius) / (3 * data.radius - depth);
    out.x = out.cx + (a * x + b * y + c * z) * scale;
    out.y = out.cy - (d * x + e * y + f * z) * scale;
    out.z = depth;
    out.s = scale;
  }

  function draw() {
    queued = false;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.fillStyle = css(background);
    context.fillRect(0, 0, width, height);
    // a corner that is turned to one side may leave the box; what is near it does not
    const out = { cx: width / 2, cy: height / 2, scale: (zoom * Math.min(width, height)) / 2.05 / data.radius };
    const px = new Float32Array(n);
    const py = new Float32Array(n);
    const pz = new Float32Array(n);
    const ps = new Float32Array(n);
    for (let k = 0; k < n; k++) {
      project(xyz[3 * k], xyz[3 * k + 1], xyz[3 * k + 2], out);
      [px[k], py[k], pz[k], ps[k]] = [out.x, out.y, out.z, out.s];
    }
    const shown = (k) => hydrogens || kinds.elements[kinds.codes[k]].name !== "H";
    // everything from the back to the front: atoms 0..n-1, bonds from n on
    const items = [];
    for (let k = 0; k < n; k++) if (shown(k)) items.push([pz[k], k]);
    for (let k = 0; k < data.bonds.length / 2; k++) {
      const [i, j] = [data.bonds[2 * k], data.bonds[2 * k + 1]];
      if (shown(i) && shown(j)) items.push([(pz[i] + pz[j]) / 2 - 0.1, n + k]);
    }
    items.sort((a, b) => a[0] - b[0]);
    drawCell(out);
    for (const [depth, item] of items) {
      if (item < n) drawAtom(item, px[item], py[item], ps[item], levelOf(depth));
      else drawBond(data.bonds[2 * (item - n)], data.bonds[2 * (item - n) + 1], px, py, ps, levelOf(depth));
    }
    canvas.dataset.drawn = String(items.length);
    canvas.dataset.background = background.join(",");
  }

  function drawAtom(k, x, y, scale, level) {
    const radius = Math.max(0.6, kinds.elements[kinds.codes[k]].radius * scale);
    context.drawImage(sprites[kinds.codes[k]][level], x - radius, y - radius, 2 * radius, 2 * radius);
  }

  function drawBond(i, j, px, py, ps, level) {
    const [mx, my] = [(px[i] + px[j]) / 2, (py[i] + py[j]) / 2];
    const wide = Math.max(0.8, 0.17 * ps[i]);
    const edge = mix(background[0] > 128 ? [70, 76, 86] : [0, 0, 0], background, fogOf(level));
    context.lineCap = "butt";
    context.lineWidth = wide + Math.max(0.6, 0.04 * ps[i]);
    context.strokeStyle = css(edge);
    context.beginPath();
    context.moveTo(px[i], py[i]);
    context.lineTo(px[j], py[j]);
    context.stroke();
    context.lineWidth = wide;
    for (const k of [i, j]) {
      context.strokeStyle = css(mix(kinds.elements[kinds.codes[k]].colour, background, fogOf(level)));
      context.beginPath();
      context.moveTo(px[k], py[k]);
      context.lineTo(mx, my);
      context.stroke();
    }
  }

  function drawCell(out) {
    context.strokeStyle = css(mix([128, 128, 128], background, 0.2));
    context.lineWidth = 1;
    for (const [from, to] of data.box) {
      context.beginPath();
      project(...from, out);
      context.moveTo(out.x, out.y);
      project(...to, out);
      context.lineTo(out.x, out.y);
      context.stroke();
    }
  }

  // fingers and the mouse: one turns, two zoom; up and down a finger scrolls the page
  const held = new Map();
  const spread = () => {
    const [one, other] = [...held.values()];
    return Math.hypot(one[0] - other[0], one[1] - other[1]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined) return;
    const apart = held.size === 2 ? spread() : 0;
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size === 2) zoomBy(spread() / Math.max(1, apart));
    else if (held.size === 1) rotate((event.clientX - before[0]) * 0.01, (event.clientY - before[1]) * 0.01);
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => held.delete(event.pointerId));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * 0.001));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    const zooms = { "+": 1.2, "-": 1 / 1.2 };
    if (!turns[event.key] && !zooms[event.key]) return;
    event.preventDefault();
    if (turns[event.key]) rotate(...turns[event.key]);
    else zoomBy(zooms[event.key]);
  });
  const actions = {
    a: () => lookAlong(0),
    b: () => lookAlong(1),
    c: () => lookAlong(2),
    in: () => zoomBy(1.25),
    out: () => zoomBy(1 / 1.25),
  };
  for (const button of panel.querySelectorAll("[data-view]"))
    button.addEventListener("click", actions[button.dataset.view]);
  const switches = {
    hydrogens: (on) => {
      hydrogens = on;
    },
    shade: (on) => {
      kinds = on ? data.shade : data;
      prepare();
    },
  };
  for (const box of panel.querySelectorAll("[data-switch]"))
    box.addEventListener("change", () => {
      switches[box.dataset.switch](box.checked);
      queue();
    });

  const redraw = () => {
    prepare();
    draw();
  };
  dark.addEventListener("change", redraw);
  window.addEventListener("resize", queue);
  window.addEventListener("beforeprint", () => {
    printing = true;
    redraw();
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    redraw();
  });
  prepare();
  rotate(0.5, 0.3);

  // for pages that let the atoms move: Cartesian offsets from where they are, or none
  const rest = xyz.slice();
  canvas.moveAtoms = (offsets) => {
    for (let k = 0; k < 3 * n; k++) xyz[k] = rest[k] + (offsets ? offsets[k] : 0);
    queue();
  };
}

// what is folded away on the screen is printed
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.folded = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) {
    part.open = false;
    delete part.dataset.folded;
  }
});
