// Landmarks on a picture: the stage in the middle, what is known about the specimen beside it.
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, query } from "../api";
import { detail } from "../edits";
import { keymap } from "../keys";
import { Aside } from "../parts/Aside";
import { Icon } from "../parts/Icon";
import { History } from "../parts/History";
import { LightPanel } from "../parts/LightPanel";
import { Marks } from "../parts/Marks";
import { Queue } from "../parts/Queue";
import { dialog, item, mayEdit, taskPath, tell } from "../state";
import { Canvas, stage } from "./Canvas";
import { KEYS, startTool } from "./keys";
import { Distances, LandmarkList } from "./lists";
import { type LandmarkDetail, dragged, scheme, selected, shown, swapping, tape, toggle, tool } from "./model";
import { ScaleDialog } from "./ScaleDialog";

export function LandmarkDesk() {
  useEffect(() => {
    keymap.value = KEYS;
    return effect(() => {
      const name = item.value;
      const path = `${taskPath()}/item?${query({ name: name ?? "" })}`;
      selected.value = swapping.value = dragged.value = null;
      tape.value = [];
      if (!name) detail.value = null;
      else get<LandmarkDetail>(path).then((found) => item.value === name && (detail.value = found)).catch(tell);
    });
  }, []);
  const now = detail.value as LandmarkDetail | null;
  return (
    <main class="desk">
      <Queue noun="specimens" />
      <section class="middle" aria-label="Picture">
        <Canvas />
        {now && <Caption now={now} />}
        <Tools />
      </section>
      <Aside>
        {now && scheme.value && (
          <>
            <Marks grades={scheme.value.grades} />
            <LandmarkList />
            <Distances />
            <LightPanel />
            <History />
          </>
        )}
      </Aside>
      {dialog.value === "scale" && <ScaleDialog />}
    </main>
  );
}

function Caption({ now }: { now: LandmarkDetail }) {
  const facts = [
    now.group && now.group !== now.label ? now.group : null,
    now.part,
    now.attributes.sex,
    now.width && `${now.width} × ${now.height} px`,
  ].filter(Boolean);
  return (
    <header class="caption">
      <h1>{now.label}</h1>
      <p>{facts.join(" · ")}</p>
      {now.need.reasons.length > 0 && (
        <ul class="reasons" aria-label="Why it needs a look">
          {now.need.reasons.map((reason) => <li>{reason}</li>)}
        </ul>
      )}
    </header>
  );
}

function Tools() {
  const see = shown.value;
  const ghost = (detail.value as LandmarkDetail | null)?.ghost;
  return (
    <div class="tools" role="toolbar" aria-label="View and tools">
      <Icon name="out" label="Zoom out" keys="-" press={() => stage?.zoomBy(0.8)} />
      <Icon name="fit" label="Whole picture" keys="0" press={() => stage?.fit()} />
      <Icon name="in" label="Zoom in" keys="+" press={() => stage?.zoomBy(1.25)} />
      <i />
      <Icon name="text" label="Names" keys="L" on={see.names} press={() => toggle("names")} />
      <Icon name="line" label="Lines" on={see.lines} press={() => toggle("lines")} />
      <Icon name="ghost" label={ghost ? `Prediction, ${scheme.value?.ghost}` : "No prediction of this one"} keys="P" on={see.ghost && !!ghost} off={!ghost} press={() => toggle("ghost")} />
      <Icon name="ellipse" label="Where the other landmarks put each (95 %)" keys="E" on={see.ellipses} press={() => toggle("ellipses")} />
      <i />
      <Icon name="ruler" label="Measure" keys="M" on={tool.value === "measure"} press={() => startTool("measure")} />
      {mayEdit.value && <Icon name="scale" label="Set the scale by two points" keys="S" on={tool.value === "scale"} press={() => startTool("scale")} />}
    </div>
  );
}

