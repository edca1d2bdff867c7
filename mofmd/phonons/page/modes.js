"use strict";
// A click on the bands: the nearest mode that the page holds moves in the view of the structure.
function startModes(view, figures, data) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const caption = document.getElementById("mode-told");
  const amplitude = document.getElementById("mode-amplitude");
  const button = document.getElementById("mode-stop");
  const LONGEST = 0.6; // Å that the atom that moves most goes, at the middle of the slider
  const PERIOD = 1600; // ms, whatever the frequency
  let mode = null;
  let going = false;

  function decode(point) {
    if (!point.moves) {
      const text = atob(point.bytes);
      point.moves = Int8Array.from(text, (c) => (c.charCodeAt(0) << 24) >> 24);
    }
    return point.moves;
  }

  function choose(point, k) {
    const size = 3 * data.atoms;
    const moves = decode(point).subarray(2 * k * size, 2 * (k + 1) * size);
    mode = { re: moves.subarray(0, size), im: moves.subarray(size), size };
    const f = point.thz[k];
    const kind = f < 0 ? `${(-f).toFixed(3)}i` : f.toFixed(3);
    caption.textContent = `Mode ${k + 1} at q = (${point.q.join(", ")}): ${kind} THz, ${(f * 33.35641).toFixed(1)} cm⁻¹`;
    caption.dataset.mode = String(k + 1);
    for (const figure of figures) figure.mark(point.x, f);
    button.textContent = "stop";
    if (!going) {
      going = true;
      requestAnimationFrame(step);
    }
  }

  function step(time) {
    if (!going || !mode) return;
    const angle = still.matches ? 0 : (2 * Math.PI * time) / PERIOD;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const scale = (LONGEST * Number(amplitude.value)) / 127;
    const offsets = new Float32Array(mode.size);
    for (let i = 0; i < mode.size; i++) offsets[i] = scale * (mode.re[i] * c + mode.im[i] * s);
    view.moveAtoms(offsets);
    view.dataset.moving = String(Math.round(time));
    if (!still.matches) requestAnimationFrame(step);
    else going = false;
  }

  button.addEventListener("click", () => {
    if (!mode) return;
    going = !going;
    button.textContent = going ? "stop" : "move";
    if (going) requestAnimationFrame(step);
    else view.moveAtoms(null);
  });
  amplitude.addEventListener("input", () => {
    if (still.matches && mode) step(0);
  });

  function nearest(x, f, width, height) {
    let best = null;
    for (const point of data.points)
      for (let k = 0; k < point.thz.length; k++) {
        const far = ((point.x - x) / width) ** 2 + ((point.thz[k] - f) / height) ** 2;
        if (!best || far < best.far) best = { far, point, k };
      }
    return best;
  }
  return { choose, nearest };
}

// figure: its SVG, the frame of the bands within it (shares of its size), and what the frame spans
function bandFigure(holder, frame, modes) {
  const svg = holder.querySelector("svg");
  const dot = document.createElement("span");
  dot.className = "mode-dot";
  dot.hidden = true;
  holder.append(dot);
  const figure = {
    mark(x, f) {
      const u = frame.left + ((x - frame.x[0]) / (frame.x[1] - frame.x[0])) * frame.width;
      const v = frame.top + ((frame.y[1] - f) / (frame.y[1] - frame.y[0])) * frame.height;
      dot.hidden = f < frame.y[0] || f > frame.y[1];
      dot.style.left = `${100 * u}%`;
      dot.style.top = `${100 * v}%`;
    },
    start(chooser) {
      svg.style.cursor = "crosshair";
      svg.addEventListener("click", (event) => {
        const box = svg.getBoundingClientRect();
        const u = (event.clientX - box.left) / box.width;
        const v = (event.clientY - box.top) / box.height;
        const x = frame.x[0] + ((u - frame.left) / frame.width) * (frame.x[1] - frame.x[0]);
        const f = frame.y[1] - ((v - frame.top) / frame.height) * (frame.y[1] - frame.y[0]);
        const found = chooser.nearest(x, f, frame.x[1] - frame.x[0], frame.y[1] - frame.y[0]);
        if (found) chooser.choose(found.point, found.k);
      });
    },
  };
  return figure;
}
