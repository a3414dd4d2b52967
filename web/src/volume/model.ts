// The open volume: where the cross hair is, which overlays are shown, and the segments with their corrections.
import { computed, signal } from "@preact/signals";
import { change, detail } from "../edits";
import type { Detail } from "../types";

export type Axis = "z" | "y" | "x";
export type Zyx = [number, number, number];
export interface Segment {
  id: number;
  name: string;
  color: [number, number, number];
}
export interface Instance {
  id: number;
  name: string;
  voxels: number;
  centre: Zyx;
  dice: number | null;
  other: number | null;
}
export interface Correction {
  status?: "accepted" | "flagged";
  name?: string;
  into?: number;
  seeds?: Zyx[];
}
export interface VolumeDetail extends Detail {
  ready: boolean;
  run: string | null;
  shape: Zyx | null;
  spacing: [number, number, number] | null;
  segments: Partial<Record<"truth" | "prediction", Segment[]>>;
  instances: Instance[];
}

export const volume = computed(() => detail.value as VolumeDetail | null);
export const cross = signal<Zyx>([0, 0, 0]);
export const chosen = signal<number | null>(null);
export const merging = signal(false);
export const seeds = signal<Zyx[] | null>(null); // while a split is being set
const SEE = { truth: true, prediction: false, disagreement: false, opacity: 0.45 };
export const see = signal<typeof SEE>(SEE);
export const set = (by: Partial<typeof SEE>) => (see.value = { ...see.value, ...by });

/** What is corrected: the study's own segments, else the predicted ones. */
export const base = computed<"truth" | "prediction">(() => (volume.value?.segments.truth ? "truth" : "prediction"));
export const correction = (id: number) => (volume.value?.values[`segment:${id}`]?.value ?? {}) as Correction;

export function correct(id: number, by: Partial<Record<keyof Correction, unknown>>): void {
  const next = Object.fromEntries(Object.entries({ ...correction(id), ...by }).filter(([, v]) => v !== undefined && v !== null));
  change({ [`segment:${id}`]: Object.keys(next).length ? next : null });
}

export function root(id: number): number {
  const seen = new Set([id]);
  for (let into = correction(id).into; into !== undefined && !seen.has(into); into = correction(id).into) seen.add((id = into));
  return id;
}

export const segmentOf = (id: number) => volume.value?.segments[base.value]?.[id - 1];
export const nameOf = (id: number) => correction(id).name ?? segmentOf(id)?.name ?? `segment ${id}`;

export function choose(id: number | null, jump = false): void {
  if (merging.value && id !== null && chosen.value !== null && root(id) !== root(chosen.value)) {
    correct(chosen.value, { into: root(id), seeds: undefined });
    merging.value = false;
  }
  seeds.value = null;
  chosen.value = id;
  const row = volume.value?.instances.find((one) => one.id === id);
  if (jump && row) cross.value = [...row.centre];
}

/** The worst first: those of which the prediction knows least, then the unseen. */
export const instances = computed(() => volume.value?.instances ?? []);
