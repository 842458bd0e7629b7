/** One request to the engine of the placement, answered. */

import { unreachable } from "../../base/index.ts";
import type { PlacementEngine } from "./engine.ts";
import type { PlacementReply, PlacementRequest } from "./messages.ts";
import { viewObjects } from "./table.ts";

export function answerRequest(engine: PlacementEngine, request: PlacementRequest): PlacementReply {
  switch (request.kind) {
    case "load":
      return { kind: "loaded", problems: engine.load(request) };
    case "samples":
      engine.record(request);
      return { kind: "taken" };
    case "cycle": {
      const cycle = engine.cycle(request);
      return cycle === null ? { kind: "unloaded" } : { kind: "cycled", cycle };
    }
    case "preview":
      return { kind: "previewed", preview: engine.preview(request) };
    case "view":
      return { kind: "viewed", view: viewObjects(request.objects, request.filter) };
    default:
      return unreachable(request);
  }
}
