// Frames from the server, decoded, some ahead of the playhead.
import { query } from "../api";
import { taskPath } from "../state";

const kept = new Map<string, Promise<ImageBitmap>>();
const MOST = 160;

export function frameOf(item: string, index: number): Promise<ImageBitmap> {
  const url = `${taskPath()}/video/frame?${query({ name: item })}&index=${index}`;
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
