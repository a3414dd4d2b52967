// The open video: where the playhead is, poses of the frames around it, exchanges of identity, bouts.
import { computed, signal } from "@preact/signals";
import { get, query } from "../api";
import { change, detail, valueOf } from "../edits";
import { queue, taskPath, tell } from "../state";
import type { Detail, Xy } from "../types";

export interface Bout {
  subject: string;
  behavior: string;
  start_s: number;
  stop_s: number;
}
export interface Suspect {
  frame: number;
  tracks: [string, string];
  why: string;
}
export interface VideoDetail extends Detail {
  frames: number;
  fps: number;
  film: boolean;
  width: number;
  height: number;
  tracks: string[];
  labelled: number[];
  suspects: Suspect[];
}
export interface Animal {
  track: string;
  predicted: boolean;
  points: (Xy | null)[];
}
export interface Scheme {
  nodes: string[];
  edges: [number, number][];
  behaviors: string[];
  subjects?: string[];
  warnings: string[];
}

export const scheme = computed(() => (queue.value?.scheme ?? null) as Scheme | null);
export const video = computed(() => detail.value as VideoDetail | null);
export const frame = signal(0);
export const playing = signal(false);
export const chosenBout = signal<number | null>(null);
export const chosenNode = signal<{ animal: number; node: number } | null>(null);
export const hoveredNode = signal<{ animal: number; node: number } | null>(null);
export const dragged = signal<{ animal: number; node: number; at: Xy } | null>(null);
export const draft = signal<Bout[] | null>(null); // bouts while one of them is under the hand
export const subject = signal("");
export const seeNames = signal(true);
export const focus = signal<string | null>(null); // the track that the hand is on

const CHUNK = 300;
const chunks = signal<Record<string, Record<number, Animal[]>>>({});
const asked = new Set<string>();

/** The animals of a frame as the file has them; asks for its stretch where it is not here yet. */
export function raw(index: number): Animal[] {
  const now = video.value;
  if (!now || !scheme.value?.nodes.length) return [];
  const from = Math.floor(index / CHUNK) * CHUNK;
  const key = `${now.item}\n${from}`;
  const there = chunks.value[key];
  if (!there && !asked.has(key)) {
    asked.add(key);
    get<Record<number, Animal[]>>(`${taskPath()}/video/poses?${query({ name: now.item, start: from, stop: from + CHUNK })}`)
      .then((found) => (chunks.value = { ...chunks.value, [key]: found }))
      .catch((error) => (asked.delete(key), tell(error)));
  }
  return there?.[index] ?? [];
}

export function forget(): void {
  chunks.value = {};
  asked.clear();
}

/** Exchanges of identity, by frame. */
export const swaps = computed(() => {
  const found: [number, [string, string]][] = [];
  for (const [field, held] of Object.entries(video.value?.values ?? {})) {
    if (field.startsWith("swap:") && held.value) found.push([Number(field.slice(5)), held.value as [string, string]]);
  }
  return found.sort((a, b) => a[0] - b[0]);
});

export function nameAt(track: string, index: number): string {
  let name = track;
  for (const [at, [a, b]] of swaps.value) if (at <= index) name = name === a ? b : name === b ? a : name;
  return name;
}

/** The animals of a frame with every correction in them. */
export function animals(index: number): Animal[] {
  const values = video.value?.values ?? {};
  const moving = index === frame.value ? dragged.value : null;
  return raw(index).map((animal, i) => ({
    ...animal,
    track: animal.track && nameAt(animal.track, index),
    points: animal.points.map((p, node) => {
      if (moving && moving.animal === i && moving.node === node) return moving.at;
      const held = values[`node:${index}:${i}:${scheme.value!.nodes[node]}`];
      return held ? (held.value as Xy | null) : p;
    }),
  }));
}

export const bouts = computed<Bout[]>(() => draft.value ?? valueOf<Bout[] | null>("bouts") ?? []);
export const lanes = computed(() => {
  const names = new Set<string>(scheme.value?.subjects ?? []);
  for (const bout of bouts.value) names.add(bout.subject);
  return [...names];
});

export const last = computed(() => Math.max(0, (video.value?.frames ?? 1) - 1));
export const seek = (index: number) => (frame.value = Math.min(last.value, Math.max(0, Math.round(index))));
export const seconds = (index: number) => index / (video.value?.fps ?? 25);

export function clock(s: number): string {
  const minutes = Math.floor(s / 60);
  return `${minutes}:${(s - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

export const placeNode = (animal: number, node: number, at: Xy | null) =>
  change({ [`node:${frame.value}:${animal}:${scheme.value!.nodes[node]}`]: at && at.map((v) => Math.round(v * 100) / 100) });

export const saveBouts = (list: Bout[]) => {
  draft.value = null;
  change({ bouts: list });
};

/** Begin a bout at the playhead, or end the one of this behaviour that runs there. */
export function score(behavior: string): void {
  const at = seconds(frame.value);
  const who = subject.value || lanes.value[0] || "";
  const list = [...bouts.value];
  const open = list.findIndex((b) => b.subject === who && b.behavior === behavior && b.start_s <= at && b.stop_s >= at);
  if (open >= 0) list[open] = { ...list[open], stop_s: at };
  else list.push({ subject: who, behavior, start_s: at, stop_s: Math.min(at + 1, seconds(last.value + 1)) });
  saveBouts(list);
}

const HUES = ["#4fd1ff", "#ffb454", "#9df07c", "#ff8fd0", "#c4a7ff", "#ff7b72", "#ffe066", "#5eead4"];
export const trackColour = (name: string) => HUES[Math.max(0, video.value?.tracks.indexOf(name) ?? 0) % HUES.length];
const PAINT = ["#3b8fc4", "#d98a29", "#4a9d5f", "#b0559b", "#7e6bc4", "#c4514d", "#a08a1e", "#2f9c95"];
export const paint = (behavior: string) => PAINT[Math.max(0, scheme.value?.behaviors.indexOf(behavior) ?? 0) % PAINT.length];
