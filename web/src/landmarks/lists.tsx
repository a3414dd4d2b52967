// The landmarks by name, and distances as they stand now.
import { detail } from "../edits";
import { Section } from "../parts/Section";
import { mayEdit } from "../state";
import {
  type LandmarkDetail, acceptGhost, distance, hovered, length, mmPerPx, place, points, scheme, select, selected, swapping,
} from "./model";

export function LandmarkList() {
  const placed = points.value.filter(Boolean).length;
  const missing = points.value.length - placed;
  const ghost = (detail.value as LandmarkDetail).ghost;
  return (
    <Section title="Landmarks" note={missing ? `${missing} missing` : `${placed}`} open name="landmarks">
      <ul class="landmarks" role="listbox" aria-label="Landmarks">
        {scheme.value!.names.map((name, i) => <Row key={name} name={name} index={i} />)}
      </ul>
      {ghost && mayEdit.value && (
        <button class="quiet wide" onClick={() => acceptGhost(points.value.flatMap((p, i) => (p ? [] : [i])))} disabled={!missing}>
          Take the prediction for the missing
        </button>
      )}
    </Section>
  );
}

function Row({ name, index }: { name: string; index: number }) {
  const p = points.value[index];
  const chosen = selected.value === index;
  const edited = detail.value.values[`point:${name}`]?.revision > 0;
  const state = swapping.value === index ? "swap with …" : p ? `${p[0].toFixed(1)}, ${p[1].toFixed(1)}` : chosen ? "click to place" : "missing";
  return (
    <li
      role="option" aria-selected={chosen} class={`${chosen ? "chosen" : ""} ${p ? "" : "missing"} ${edited ? "edited" : ""}`}
      onClick={() => select(chosen ? null : index)}
      onPointerEnter={() => (hovered.value = p ? index : null)}
      onPointerLeave={() => (hovered.value = null)}
    >
      <span class="dot" />
      <span class="name">{name}</span>
      <span class="number">{state}</span>
      {chosen && p && mayEdit.value && (
        <button class="bare" title="Hide: it cannot be seen (H)" aria-label={`Hide ${name}`} onClick={(e) => (e.stopPropagation(), place(index, null))}>
          hide
        </button>
      )}
    </li>
  );
}

export function Distances() {
  const named = Object.entries(scheme.value!.distances);
  const mm = mmPerPx.value;
  const names = scheme.value!.names;
  return (
    <Section title="Distances" note={mm === null ? "no scale" : `${mm.toFixed(5)} mm/px`} open name="distances">
      {mm === null && <p class="hint">Set the scale by two points (S) to read millimetres.</p>}
      <dl class="figures">
        {named.map(([name, [a, b]]) => {
          const [p, q] = [points.value[names.indexOf(a)], points.value[names.indexOf(b)]];
          return (
            <>
              <dt title={`${a} – ${b}`}>{name.replaceAll("_", " ")}</dt>
              <dd>{p && q ? length(distance(p, q)) : "–"}</dd>
            </>
          );
        })}
        {selected.value !== null && points.value[selected.value] && <Moved index={selected.value} />}
      </dl>
      {named.length === 0 && mm !== null && <p class="hint">Press M and click two points; distances named in study.toml stand here.</p>}
    </Section>
  );
}

/** How far the chosen landmark is from where the file had it, and from the prediction. */
function Moved({ index }: { index: number }) {
  const now = detail.value as LandmarkDetail;
  const name = scheme.value!.names[index];
  const p = points.value[index]!;
  const before = now.native[`point:${name}`] as [number, number] | null;
  const ghost = now.ghost?.[index];
  return (
    <>
      {before && distance(p, before) > 0 && (
        <>
          <dt>{name} moved</dt>
          <dd>{length(distance(p, before))}</dd>
        </>
      )}
      {ghost && ghost.x !== null && ghost.y !== null && (
        <>
          <dt>{name} to prediction</dt>
          <dd>{length(distance(p, [ghost.x, ghost.y]))}</dd>
        </>
      )}
    </>
  );
}
