/**
 * Task: one request to the engine of the placement, which lives in this thread from request to request. A thread that
 * dies takes its rates along; the next cycle finds that nothing is loaded.
 */

import { answerRequest } from "./answer.ts";
import { PlacementEngine } from "./engine.ts";
import type { PlacementReply, PlacementRequest } from "./messages.ts";

const engine = new PlacementEngine();

export async function runTask(request: PlacementRequest): Promise<PlacementReply> {
  return answerRequest(engine, request);
}
