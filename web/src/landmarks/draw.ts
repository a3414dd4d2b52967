// Landmarks over their picture: rings that leave the very place open, names that keep out of each other's way.
import type { View } from "../stage/view";
import { toScreen } from "../stage/view";
import type { Xy } from "../types";
import { type LandmarkDetail, type Scheme, hovered, length, points, selected, shown, swapping, tape, tool } from "./model";

const RING = 5.5;
const INK = "rgba(8, 12, 16, 0.85)";
const POINT = "#4fd1ff";
const EDITED = "#9df07c";
const CHOSEN = "#ffc24a";
const GHOST = "#ff8fd0";
const FONT = '500 11.5px system-ui, -apple-system, "Segoe UI", sans-serif';

export function draw(context: CanvasRenderingContext2D, view: View, size: Xy, detail: LandmarkDetail, scheme: Scheme): void {
  context.lineCap = "round";
  context.lineJoin = "round";
  if (shown.value.lines) edges(context, view, scheme);
  if (shown.value.ellipses && detail.expected) ellipses(context, view, detail);
  if (shown.value.ghost && detail.ghost) ghosts(context, view, detail);
  rings(context, view, detail, scheme);
  if (tool.value !== "points") ruler(context, view);
  names(context, view, size, scheme);
}

function stroke(context: CanvasRenderingContext2D, colour: string, width: number): void {
  context.strokeStyle = INK;
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function edges(context: CanvasRenderingContext2D, view: View, scheme: Scheme): void {
  context.globalAlpha = 0.55;
  for (const [a, b] of scheme.edges) {
    const [p, q] = [points.value[a], points.value[b]];
    if (!p || !q) continue;
    context.beginPath();
    context.moveTo(...toScreen(view, p));
    context.lineTo(...toScreen(view, q));
    stroke(context, "#dfe7ee", 1);
  }
  context.globalAlpha = 1;
}

function ellipses(context: CanvasRenderingContext2D, view: View, detail: LandmarkDetail): void {
  detail.expected!.forEach((e, i) => {
    if (!e) return;
    const [x, y] = toScreen(view, [e.x, e.y]);
    context.beginPath();
    context.ellipse(x, y, Math.max(e.a * view.zoom, 1), Math.max(e.b * view.zoom, 1), e.angle, 0, 2 * Math.PI);
    context.fillStyle = i === selected.value ? "rgba(255, 194, 74, 0.16)" : "rgba(79, 209, 255, 0.09)";
    context.fill();
    context.setLineDash([5, 4]);
    context.strokeStyle = i === selected.value ? CHOSEN : "rgba(180, 225, 245, 0.75)";
    context.lineWidth = 1;
    context.stroke();
    context.setLineDash([]);
  });
}

function ghosts(context: CanvasRenderingContext2D, view: View, detail: LandmarkDetail): void {
  detail.ghost!.forEach((ghost, i) => {
    if (ghost.x === null || ghost.y === null) return;
    const [x, y] = toScreen(view, [ghost.x, ghost.y]);
    const p = points.value[i];
    if (p) {
      const [px, py] = toScreen(view, p);
      if (Math.hypot(px - x, py - y) > 3) {
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(px, py);
        context.globalAlpha = 0.8;
        stroke(context, GHOST, 1);
        context.globalAlpha = 1;
      }
    }
    if (ghost.spread) {
      context.beginPath();
      context.arc(x, y, 2 * ghost.spread * view.zoom, 0, 2 * Math.PI);
      context.setLineDash([2, 3]);
      context.strokeStyle = GHOST;
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);
    }
    context.beginPath();
    context.moveTo(x, y - 4);
    context.lineTo(x + 4, y);
    context.lineTo(x, y + 4);
    context.lineTo(x - 4, y);
    context.closePath();
    stroke(context, GHOST, 1.3);
  });
}

function rings(context: CanvasRenderingContext2D, view: View, detail: LandmarkDetail, scheme: Scheme): void {
  points.value.forEach((p, i) => {
    if (!p) return;
    const [x, y] = toScreen(view, p);
    const chosen = i === selected.value || i === swapping.value;
    const edited = detail.values[`point:${scheme.names[i]}`]?.revision > 0;
    const radius = chosen || i === hovered.value ? RING + 2 : RING;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    stroke(context, chosen ? CHOSEN : edited ? EDITED : POINT, chosen ? 2 : 1.6);
    context.beginPath();
    context.arc(x, y, 0.9, 0, 2 * Math.PI);
    context.fillStyle = chosen ? CHOSEN : edited ? EDITED : POINT;
    context.fill();
    if (chosen) cross(context, x, y, radius);
  });
}

function cross(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * (radius + 2), y + dy * (radius + 2));
    context.lineTo(x + dx * (radius + 8), y + dy * (radius + 8));
  }
  stroke(context, CHOSEN, 1.4);
}

function ruler(context: CanvasRenderingContext2D, view: View): void {
  const ends = tape.value.map((p) => toScreen(view, p));
  for (const [x, y] of ends) {
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    stroke(context, "#ffffff", 1.5);
  }
  if (ends.length < 2) return;
  context.beginPath();
  context.moveTo(...ends[0]);
  context.lineTo(...ends[1]);
  stroke(context, "#ffffff", 1.5);
  const px = Math.hypot(tape.value[0][0] - tape.value[1][0], tape.value[0][1] - tape.value[1][1]);
  const text = tool.value === "scale" ? `${px.toFixed(1)} px` : length(px);
  label(context, text, (ends[0][0] + ends[1][0]) / 2 + 8, (ends[0][1] + ends[1][1]) / 2 - 8, "#ffffff");
}

function names(context: CanvasRenderingContext2D, view: View, size: Xy, scheme: Scheme): void {
  const always = new Set([selected.value, hovered.value]);
  const taken: [number, number, number, number][] = points.value.flatMap((p) => {
    if (!p) return [];
    const [x, y] = toScreen(view, p);
    return [[x - 5, y - 5, x + 5, y + 5] as [number, number, number, number]];
  });
  context.font = FONT;
  const order = points.value.map((_, i) => i).sort((a, b) => Number(always.has(b)) - Number(always.has(a)));
  for (const i of order) {
    const p = points.value[i];
    if (!p || (!shown.value.names && !always.has(i))) continue;
    const [x, y] = toScreen(view, p);
    if (x < 0 || y < 0 || x > size[0] || y > size[1]) continue;
    const text = scheme.names[i];
    const wide = context.measureText(text).width;
    const spots: Xy[] = [[x + 10, y + 4], [x - 10 - wide, y + 4], [x - wide / 2, y - 11], [x - wide / 2, y + 20]];
    const free = spots.find(([left, base]) => !taken.some((t) => left < t[2] && left + wide > t[0] && base - 10 < t[3] && base + 3 > t[1]));
    const spot = free ?? (always.has(i) ? spots[0] : null);
    if (!spot) continue;
    taken.push([spot[0], spot[1] - 10, spot[0] + wide, spot[1] + 3]);
    label(context, text, spot[0], spot[1], i === selected.value ? CHOSEN : "#eef3f7");
  }
}

function label(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour: string): void {
  context.font = FONT;
  context.lineWidth = 3;
  context.strokeStyle = INK;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
