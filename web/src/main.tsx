// Begin: sign in by the link's token or by the cookie, open the study, draw.
import "./style.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { Problem, ask, get, remember } from "./api";
import { startKeys } from "./keys";
import { LandmarkDesk } from "./landmarks/Desk";
import { listen } from "./live";
import { Header } from "./parts/Header";
import { Help } from "./parts/Help";
import { LightFilter } from "./parts/LightPanel";
import { Output } from "./parts/Output";
import { SignIn } from "./parts/SignIn";
import { dialog, openTask, page, place, session, signIn, study, task, toast } from "./state";
import { startTheme } from "./theme";
import type { Session } from "./types";
import { PrintDesk } from "./prints/Desk";
import { Training } from "./training/Training";
import { VideoDesk } from "./video/Desk";
import { VolumeDesk } from "./volume/Desk";

const DESKS: Record<string, () => any> = { landmarks: LandmarkDesk, pose: VideoDesk, behavior: VideoDesk, segmentation: VolumeDesk, identity: PrintDesk };

function App() {
  if (signIn.value && !session.value) return <SignIn />;
  if (!session.value) return null;
  const Desk = task.value && DESKS[task.value.kind];
  return (
    <>
      <Header />
      {page.value === "training" && task.value ? <Training /> : Desk ? <Desk key={`${study.value!.slug}/${task.value!.name}`} /> : <Empty />}
      {dialog.value === "help" && <Help />}
      {dialog.value === "output" && <Output />}
      {toast.value && <p class={`toast ${toast.value.tone}`} role="alert">{toast.value.text}</p>}
      <LightFilter />
    </>
  );
}

function Empty() {
  return (
    <main class="empty">
      <p>{session.value!.studies.length ? "This study has no task that can be looked at." : "No study is open to you yet. Ask whoever manages one."}</p>
    </main>
  );
}

async function begin(): Promise<void> {
  const token = place().get("token");
  if (token) history.replaceState(null, "", location.pathname);
  const ways = [() => get<Session>("/api/session")];
  if (token) ways.unshift(() => ask<Session>("POST", "/api/session", { token }));
  for (const way of ways) {
    try {
      session.value = remember(await way());
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      signIn.value = error.signIn ?? "token";
    }
  }
}

effect(() => {
  const now = session.value;
  if (!now) return;
  const wanted = place();
  const first = now.studies.find((s) => s.slug === wanted.get("study")) ?? now.studies.find((s) => s.tasks.length);
  if (!first) return;
  const one = first.tasks.find((t) => t.name === wanted.get("task")) ?? first.tasks[0];
  queueMicrotask(() => openTask(first, one));
});

effect(() => {
  if (study.value) queueMicrotask(listen);
});

startTheme();
startKeys();
render(<App />, document.getElementById("app")!);
begin().catch((error) => {
  document.getElementById("app")!.textContent = `The server cannot be reached: ${error.message}`;
});
