// Slices from the server: grey pictures, and numbers of segments turned into colours here.
import { query } from "../api";
import { taskPath } from "../state";
import type { Axis } from "./model";

const MOST = 240;

function keeper<T>(make: (url: string) => Promise<T>): (url: string) => Promise<T> {
  const kept = new Map<string, Promise<T>>();
  return (url) => {
    let found = kept.get(url);
    if (!found) {
      found = make(url);
      found.catch(() => kept.delete(url));
      kept.set(url, found);
      for (const old of [...kept.keys()].slice(0, Math.max(0, kept.size - MOST))) kept.delete(old);
    }
    return found;
  };
}

async function fetched(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error((await response.json()).detail);
  return response;
}

const picture = keeper(async (url) => createImageBitmap(await (await fetched(url)).blob()));
const numbers = keeper(async (url) => new Uint16Array(await (await fetched(url)).arrayBuffer()));

export const sliceOf = (name: string, axis: Axis, index: number) =>
  picture(`${taskPath()}/volume/slice?${query({ name, axis })}&index=${index}`);
export const labelsOf = (name: string, which: "truth" | "prediction", axis: Axis, index: number) =>
  numbers(`${taskPath()}/volume/labels?${query({ name, axis, which })}&index=${index}`);
