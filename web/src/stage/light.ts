// How bright and which way round a picture is shown: a table for the browser's colour filter, never the file.
import { computed, signal } from "@preact/signals";

export interface Light {
  low: number; // 0..1, becomes black
  high: number; // becomes white
  gamma: number;
  invert: boolean;
  stretch: boolean;
  clahe: number;
  denoise: number;
}

export const PLAIN: Light = { low: 0, high: 1, gamma: 1, invert: false, stretch: false, clahe: 0, denoise: 0 };
export const light = signal<Light>({ ...PLAIN, ...stored() });

function stored(): Partial<Light> {
  try {
    return JSON.parse(localStorage.getItem("light") ?? "{}");
  } catch {
    return {};
  }
}

export function setLight(change: Partial<Light>): void {
  light.value = { ...light.value, ...change };
  localStorage.setItem("light", JSON.stringify(light.value));
}

const STEPS = 64;

/** The filter's table: window, then inversion, then gamma. */
export function table({ low, high, gamma, invert }: Light): string {
  const values: string[] = [];
  for (let i = 0; i <= STEPS; i++) {
    let v = Math.min(1, Math.max(0, (i / STEPS - low) / Math.max(high - low, 1e-3)));
    if (invert) v = 1 - v;
    values.push((v ** (1 / gamma)).toFixed(4));
  }
  return values.join(" ");
}

export const isPlain = computed(() => {
  const { low, high, gamma, invert } = light.value;
  return low === 0 && high === 1 && gamma === 1 && !invert;
});
