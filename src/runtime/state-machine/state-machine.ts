/**
 * The entry `keelson/state-machine`. It is separate because it loads XState, which other programs
 * need not load.
 */

export type {
  Answers,
  MachineContext,
  MachineMessages,
  MachineRef,
  MachineServer,
  MessagesOf,
  Postpone,
  Replies,
  SavedAction,
  SavedActor,
  SavedMachine,
  SavedTimer,
  StateMachineOptions,
  StateMachineSettings,
  StatePath,
} from '../machine/machine-words.ts'
export type { MachineTurn } from '../words/app-context.ts'
export * as StateMachine from './state-machine-client.ts'
export type {
  DurableMachine,
  DurableMachineMessages,
  DurableMachineOptions,
  DurableMachineSettings,
} from './state-machine-durable.ts'
