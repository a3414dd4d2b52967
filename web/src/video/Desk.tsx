// A video with its animals and what they do.
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, query } from "../api";
import { change, detail, turn, valueOf } from "../edits";
import { type Key, keymap } from "../keys";
import { Aside } from "../parts/Aside";
import { History } from "../parts/History";
import { Icon } from "../parts/Icon";
import { LightPanel } from "../parts/LightPanel";
import { Marks } from "../parts/Marks";
import { Queue } from "../parts/Queue";
import { Section } from "../parts/Section";
import { dialog, item, mayEdit, step, taskPath, tell } from "../state";
import {
  type VideoDetail, bouts, chosenBout, chosenNode, clock, focus, forget, frame, lanes, last, paint, placeNode, playing, saveBouts, scheme,
  score, seconds, seeNames, seek, subject, swaps, trackColour, video,
} from "./model";
import { Player, stage } from "./Player";
import { Timeline } from "./Timeline";

export function VideoDesk() {
  useEffect(() => {
    keymap.value = keys();
    return effect(() => {
      const name = item.value;
      const path = `${taskPath()}/item?${query({ name: name ?? "" })}`;
      playing.value = false;
      chosenBout.value = chosenNode.value = focus.value = null;
      forget();
      if (!name) detail.value = null;
      else
        get<VideoDetail>(path)
          .then((found) => {
            if (item.value !== name) return;
            detail.value = found;
            frame.value = 0;
          })
          .catch(tell);
    });
  }, []);
  const now = video.value;
  return (
    <main class="desk">
      <Queue noun="videos" />
      <section class="middle video" aria-label="Video">
        <div class="screen">
          <Player />
          {now && (
            <header class="caption">
              <h1>{now.label}</h1>
              <p>{`${now.width} × ${now.height} px · ${now.fps.toFixed(2)} frames a second · ${now.frames} frames`}</p>
              {now.need.reasons.length > 0 && <ul class="reasons">{now.need.reasons.map((r) => <li key={r}>{r}</li>)}</ul>}
            </header>
          )}
        </div>
        {now && <Transport now={now} />}
        {now && <Timeline />}
      </section>
      <Aside>
        {now && scheme.value && (
          <>
            <Marks />
            {now.tracks.length > 1 && <Identities now={now} />}
            <Bouts />
            <LightPanel server={false} />
            <History />
          </>
        )}
      </Aside>
    </main>
  );
}

function Transport({ now }: { now: VideoDetail }) {
  return (
    <div class="transport" role="toolbar" aria-label="Playback">
      <Icon name="back" label="Previous frame" keys="←" press={() => seek(frame.value - 1)} />
      <Icon name={playing.value ? "pause" : "play"} label={playing.value ? "Pause" : "Play"} keys="Space" press={() => (playing.value = !playing.value)} />
      <Icon name="forth" label="Next frame" keys="→" press={() => seek(frame.value + 1)} />
      <output>{clock(seconds(frame.value))}</output>
      <label class="frame">
        frame
        <input type="number" min={0} max={last.value} value={frame.value} onChange={(e) => seek(Number(e.currentTarget.value))} aria-label="Frame" />
        of {now.frames - 1}
      </label>
      <span class="gap" />
      {now.suspects.length > 0 && <button class="quiet" onClick={() => toSuspect(1)}>Next doubt<kbd>.</kbd></button>}
      <Icon name="text" label="Names" keys="L" on={seeNames.value} press={() => (seeNames.value = !seeNames.value)} />
      <Icon name="fit" label="Whole picture" keys="0" press={() => stage?.fit()} />
    </div>
  );
}

function Identities({ now }: { now: VideoDetail }) {
  const doubt = now.suspects.find((s) => s.frame === frame.value);
  const pair = doubt?.tracks ?? ([now.tracks[0], now.tracks[1]] as [string, string]);
  return (
    <Section title="Identities" note={`${now.tracks.length} tracks`} name="identities" open>
      <ul class="tracks">
        {now.tracks.map((name) => (
          <li key={name} class={focus.value === name ? "chosen" : ""} onClick={() => (focus.value = focus.value === name ? null : name)}>
            <i style={{ background: trackColour(name) }} />{name}
          </li>
        ))}
      </ul>
      {doubt && <p class="doubt">{doubt.why} at frame {doubt.frame}.</p>}
      {mayEdit.value && <SwapForm key={`${doubt?.frame}`} tracks={now.tracks} pair={pair} />}
      <ul class="swaps">
        {swaps.value.map(([at, [a, b]]) => (
          <li key={at}>
            <button class="bare" onClick={() => seek(at)}>frame {at}</button> {a} ⇄ {b}
            {mayEdit.value && <button class="bare" aria-label={`Take back the exchange at frame ${at}`} onClick={() => change({ [`swap:${at}`]: null })}>take back</button>}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function SwapForm({ tracks, pair }: { tracks: string[]; pair: [string, string] }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const [a, b] = [String(form.get("a")), String(form.get("b"))];
    if (a !== b) change({ [`swap:${frame.value}`]: [a, b].sort() });
  };
  return (
    <form class="swap" onSubmit={submit}>
      {["a", "b"].map((which, i) => (
        <select key={which} name={which} aria-label={`Track ${which}`}>
          {tracks.map((name) => <option key={name} selected={name === pair[i]}>{name}</option>)}
        </select>
      ))}
      <button class="main">Exchange from frame {frame.value} on</button>
    </form>
  );
}

function Bouts() {
  const known = scheme.value!.behaviors;
  const at = seconds(frame.value);
  const chosen = chosenBout.value === null ? null : bouts.value[chosenBout.value];
  return (
    <Section title="Behaviour" note={`${bouts.value.length} bouts`} name="bouts" open>
      {lanes.value.length > 1 && (
        <label class="field inline">
          <span>Score</span>
          <select value={subject.value || lanes.value[0]} onChange={(e) => (subject.value = e.currentTarget.value)}>
            {lanes.value.map((name) => <option key={name} value={name}>{name || "all"}</option>)}
          </select>
        </label>
      )}
      <div class="codes">
        {known.map((name, i) => {
          const running = bouts.value.some((b) => b.behavior === name && b.subject === (subject.value || lanes.value[0] || "") && b.start_s <= at && at <= b.stop_s);
          return (
            <button key={name} class={running ? "on" : ""} disabled={!mayEdit.value} onClick={() => score(name)} title={running ? "End it here" : "Begin it here"}>
              <i style={{ background: paint(name) }} />{name}{i < 9 && <kbd>{i + 1}</kbd>}
            </button>
          );
        })}
      </div>
      {chosen && (
        <div class="bout">
          <p><b>{chosen.behavior}</b> {chosen.subject}</p>
          <p class="number">{clock(chosen.start_s)} – {clock(chosen.stop_s)} ({(chosen.stop_s - chosen.start_s).toFixed(2)} s)</p>
          {mayEdit.value && (
            <div class="row">
              <select aria-label="Behaviour of this bout" value={chosen.behavior} onChange={(e) => edit({ behavior: e.currentTarget.value })}>
                {known.map((name) => <option key={name}>{name}</option>)}
              </select>
              <button class="quiet" onClick={removeBout}>Delete</button>
            </div>
          )}
        </div>
      )}
      {!chosen && bouts.value.length > 0 && <p class="hint">Click a bout to choose it; drag its ends.</p>}
      {known.length === 0 && <p class="hint">No behaviour is scored in this study yet.</p>}
    </Section>
  );
}

const edit = (by: object) => saveBouts(bouts.value.map((b, i) => (i === chosenBout.value ? { ...b, ...by } : b)));

function removeBout(): void {
  const at = chosenBout.value;
  if (at === null) return;
  chosenBout.value = null;
  saveBouts(bouts.value.filter((_, i) => i !== at));
}

function toSuspect(by: 1 | -1): void {
  const places = (video.value?.suspects ?? []).map((s) => s.frame).sort((a, b) => a - b);
  const next = by > 0 ? places.find((f) => f > frame.value) ?? places[0] : places.filter((f) => f < frame.value).at(-1) ?? places.at(-1);
  if (next !== undefined) seek(next);
}

function swapHere(): void {
  const now = video.value!;
  const doubt = now.suspects.find((s) => s.frame === frame.value);
  const pair = doubt?.tracks ?? (now.tracks.length === 2 ? [now.tracks[0], now.tracks[1]] : null);
  if (pair && mayEdit.value) change({ [`swap:${frame.value}`]: valueOf(`swap:${frame.value}`) ? null : pair });
}

function keys(): Key[] {
  const to = (by: number) => () => {
    playing.value = false;
    seek(frame.value + by);
  };
  return [
    { group: "Playback", keys: [" "], does: "play or pause", run: () => (playing.value = !playing.value) },
    { group: "Playback", keys: ["ArrowRight"], does: "next frame", run: to(1) },
    { group: "Playback", keys: ["ArrowLeft"], does: "previous frame", run: to(-1) },
    { group: "Playback", keys: ["Shift+ArrowRight"], does: "ten frames on", run: to(10) },
    { group: "Playback", keys: ["Shift+ArrowLeft"], does: "ten frames back", run: to(-10) },
    { group: "Playback", keys: ["Home"], does: "to the beginning", run: () => seek(0) },
    { group: "Playback", keys: ["End"], does: "to the end", run: () => seek(last.value) },
    { group: "Identities", keys: ["."], does: "next doubt", run: () => toSuspect(1) },
    { group: "Identities", keys: [","], does: "previous doubt", run: () => toSuspect(-1) },
    { group: "Identities", keys: ["x"], does: "exchange the doubtful pair from here on", run: swapHere },
    { group: "Behaviour", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], does: "begin or end this behaviour", run: (e) => scheme.value!.behaviors[Number(e.key) - 1] && mayEdit.value && score(scheme.value!.behaviors[Number(e.key) - 1]) },
    { group: "Behaviour", keys: ["Delete", "Backspace"], does: "delete the bout, hide the node", run: () => (chosenBout.value !== null ? removeBout() : chosenNode.value && placeNode(chosenNode.value.animal, chosenNode.value.node, null)) },
    { group: "Queue", keys: ["n", "PageDown"], does: "next video", run: () => step(1) },
    { group: "Queue", keys: ["k", "PageUp"], does: "previous video", run: () => step(-1) },
    { group: "Queue", keys: ["d", "Enter"], does: "done", run: () => change({ status: valueOf("status") === "done" ? null : "done" }) },
    { group: "Queue", keys: ["f"], does: "flag", run: () => change({ status: valueOf("status") === "flagged" ? null : "flagged" }) },
    { group: "Queue", keys: ["Ctrl+z", "u"], does: "undo your last edit here", run: () => turn("undo") },
    { group: "Queue", keys: ["Ctrl+Shift+z", "Ctrl+y"], does: "redo", run: () => turn("redo") },
    { group: "View", keys: ["+", "="], does: "zoom in", run: () => stage?.zoomBy(1.25) },
    { group: "View", keys: ["-"], does: "zoom out", run: () => stage?.zoomBy(0.8) },
    { group: "View", keys: ["0"], does: "whole picture", run: () => stage?.fit() },
    { group: "View", keys: ["l"], does: "names", run: () => (seeNames.value = !seeNames.value) },
    { group: "View", keys: ["?"], does: "this list", run: () => (dialog.value = "help") },
  ];
}
