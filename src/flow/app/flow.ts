/** `flow`: the one door to the workflows and queues of an instance, for an app and for a turn. */
import { addsCall } from '../../actors/index.ts'
import { noMore } from '../../check.ts'
import { invalidArgument } from '../../errors.ts'
import { FlowOfTurn, type FlowTurnContext } from './flow-of-turn.ts'
import { Flow, type FlowApp } from './handle.ts'

/**
 * In a handler of a durable actor: starts, signals and jobs that become durable with its turn.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export function flow(context: FlowTurnContext, ...surplus: []): FlowOfTurn
/**
 * The workflows and queues of an instance: `flow(app)`, in its processes `flow(context.app)`.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export function flow(app: FlowApp, ...surplus: []): Flow
export function flow(given: FlowApp | FlowTurnContext, ...surplus: []): Flow | FlowOfTurn {
  noMore(surplus, 'flow(app)')
  if (typeof given === 'object' && given !== null && addsCall in given)
    return new FlowOfTurn(given as FlowTurnContext)
  if (typeof (given as FlowApp)?.entity === 'function') return new Flow(given as FlowApp)
  throw invalidArgument('app', 'an instance, or the context of a durable actor', given)
}
