"use strict";
// Ball-and-stick view on a 2D canvas: no library, no network. Drag to turn, wheel to zoom.
function startViewer(canvas, data) {
  const bytes = Uint8Array.from(atob(data.positions), (c) => c.charCodeAt(0));
  const xyz = new Float32Array(bytes.buffer);
  const n = xyz.length / 3;
  const bonds = data.bonds;
  const context = canvas.getContext("2d");
  let turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  let zoom = 1;
  let queued = false;

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

  function queue() {
    if (!queued) {
      queued = true;
      requestAnimationFrame(draw);
    }
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
    const width = canvas.clientWidth * ratio;
    const height = canvas.clientHeight * ratio;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
    // a corner that is turned to one side may leave the box; what is near it does not
    const out = { cx: width / 2, cy: height / 2, scale: (zoom * Math.min(width, height)) / 1.8 / data.radius };
    const px = new Float32Array(n);
    const py = new Float32Array(n);
    const pz = new Float32Array(n);
    const ps = new Float32Array(n);
    for (let k = 0; k < n; k++) {
      project(xyz[3 * k], xyz[3 * k + 1], xyz[3 * k + 2], out);
      [px[k], py[k], pz[k], ps[k]] = [out.x, out.y, out.z, out.s];
    }
    // everything from the back to the front: atoms 0..n-1, bonds from n on
    const items = new Array(n + bonds.length / 2);
    for (let k = 0; k < n; k++) items[k] = [pz[k], k];
    for (let k = 0; k < bonds.length / 2; k++)
      items[n + k] = [(pz[bonds[2 * k]] + pz[bonds[2 * k + 1]]) / 2 - 0.1, n + k];
    items.sort((a, b) => a[0] - b[0]);
    drawCell(out);
    for (const [depth, item] of items) {
      const fog = Math.max(0, Math.min(0.75, 0.22 - (0.45 * depth) / data.radius));
      if (item < n) drawAtom(item, px[item], py[item], ps[item], fog);
      else drawBond(bonds[2 * (item - n)], bonds[2 * (item - n) + 1], px, py, ps, fog);
    }
    canvas.dataset.drawn = String(items.length);
  }

  function shade(colour, fog) {
    const mix = colour.map((c) => Math.round(c + (255 - c) * fog));
    return `rgb(${mix[0]},${mix[1]},${mix[2]})`;
  }

  function drawAtom(k, x, y, scale, fog) {
    const element = data.elements[data.codes[k]];
    context.beginPath();
    context.arc(x, y, Math.max(0.5, element.radius * scale), 0, 2 * Math.PI);
    context.fillStyle = shade(element.colour, fog);
    context.fill();
    context.lineWidth = 0.5;
    context.strokeStyle = shade([40, 40, 40], fog);
    context.stroke();
  }

  function drawBond(i, j, px, py, ps, fog) {
    const [mx, my] = [(px[i] + px[j]) / 2, (py[i] + py[j]) / 2];
    context.lineWidth = Math.max(0.7, 0.16 * ps[i]);
    for (const k of [i, j]) {
      context.strokeStyle = shade(data.elements[data.codes[k]].colour, fog);
      context.beginPath();
      context.moveTo(px[k], py[k]);
      context.lineTo(mx, my);
      context.stroke();
    }
  }

  function drawCell(out) {
    context.strokeStyle = "#888888";
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

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held === null) return;
    rotate((event.clientX - held[0]) * 0.01, (event.clientY - held[1]) * 0.01);
    held = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom = Math.max(0.3, Math.min(12, zoom * Math.exp(-event.deltaY * 0.001)));
      queue();
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (turns[event.key]) {
      event.preventDefault();
      rotate(...turns[event.key]);
    }
  });
  window.addEventListener("resize", queue);
  window.addEventListener("beforeprint", draw);
  rotate(0.5, 0.3);
}
