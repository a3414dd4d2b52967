// Pictures from the server, decoded once, the next one fetched ahead.
import { query } from "../api";
import { type Light, light } from "../stage/light";
import { taskPath } from "../state";

const kept = new Map<string, Promise<ImageBitmap>>();
const MOST = 6;

export function pictureUrl(item: string, version: number | null, how: Light = light.value): string {
  const { stretch, clahe, denoise } = how;
  return `${taskPath()}/picture?${query({ name: item, stretch, clahe, denoise, v: version ?? undefined })}`;
}

export function picture(url: string): Promise<ImageBitmap> {
  let found = kept.get(url);
  if (!found) {
    found = fetch(url).then(async (response) => {
      if (!response.ok) throw new Error((await response.json()).detail);
      return createImageBitmap(await response.blob());
    });
    found.catch(() => kept.delete(url));
    kept.set(url, found);
    for (const old of [...kept.keys()].slice(0, Math.max(0, kept.size - MOST))) kept.delete(old);
  }
  return found;
}
