// Surfaces from the server, and what is needed to draw them: a light, a turn, one colour a segment.
import { query } from "../api";
import { taskPath } from "../state";

export interface Surface {
  id: number;
  places: Float32Array; // x, y, z in mm about the middle of the volume
  normals: Float32Array;
  faces: Uint32Array;
}
export interface Solid {
  extent: [number, number, number];
  surfaces: Surface[];
}

const kept = new Map<string, Promise<Solid>>();

export function solidOf(name: string, which: "truth" | "prediction"): Promise<Solid> {
  const url = `${taskPath()}/volume/surfaces?${query({ name, which })}`;
  let found = kept.get(url);
  if (!found) {
    found = fetch(url).then(async (response) => {
      if (!response.ok) throw new Error((await response.json()).detail);
      return unpack(await response.arrayBuffer());
    });
    found.catch(() => kept.delete(url));
    kept.clear();
    kept.set(url, found);
  }
  return found;
}

function unpack(buffer: ArrayBuffer): Solid {
  const length = new DataView(buffer).getUint32(0, true);
  const { extent, segments } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const surfaces: Surface[] = [];
  for (const { id, vertices, faces } of segments) {
    const shares = new Uint16Array(buffer, at, vertices * 4);
    at += vertices * 8;
    const corners = new Uint32Array(buffer, at, faces * 3);
    at += faces * 12;
    const places = new Float32Array(vertices * 3);
    for (let i = 0; i < vertices; i++) for (let k = 0; k < 3; k++) places[3 * i + k] = (shares[4 * i + k] / 65535 - 0.5) * extent[k];
    surfaces.push({ id, places, normals: normalsOf(places, corners), faces: corners });
  }
  return { extent, surfaces };
}

/** The mean normal of the faces around each vertex, large faces counting more. */
function normalsOf(p: Float32Array, faces: Uint32Array): Float32Array {
  const out = new Float32Array(p.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const [ux, uy, uz] = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
    const [vx, vy, vz] = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
    const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const i of [a, b, c]) {
      out[i] += x;
      out[i + 1] += y;
      out[i + 2] += z;
    }
  }
  return out;
}
