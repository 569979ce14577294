/**
 * The entry `keelson/state-machine`: apart from the rest, because it loads XState, and who uses no state machine shall
 * not pay for that.
 */
export * as StateMachine from './state-machine-client.ts'
export type {
  Answers,
  MachineContext,
  MachineMessages,
  MachineRef,
  MachineServer,
  MessagesOf,
  Postpone,
  Replies,
  SavedActor,
  SavedMachine,
  SavedTimer,
  StateMachineOptions,
  StateMachineSettings,
  StatePath,
} from './state-machine-words.ts'
