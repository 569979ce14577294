/** The format of the recorded scenarios (`otp/FORMAT.md`), as types. */
/** Any term of the format: plain JSON. */
export type Term = null | boolean | number | string | Term[] | { [key: string]: Term }

/** A named operation and its arguments. */
export type Operation = [operation: string, ...args: Term[]]

export type ChildDefinition = {
  id: string
  proc: string
  arg?: Term
  restart?: 'permanent' | 'transient' | 'temporary' | undefined
  shutdown?: 'brutal_kill' | 'infinity' | number | undefined
  type?: 'worker' | 'supervisor'
  significant?: boolean | undefined
}

export type ServerDefinition = {
  kind: 'server'
  on?: Record<string, Operation[]>
  name?: Term
}

export type SupervisorDefinition = {
  kind: 'supervisor'
  strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one'
  intensity?: number
  period?: number
  auto_shutdown?: 'never' | 'any_significant' | 'all_significant'
  name?: Term
  children: ChildDefinition[]
}

export type DynamicDefinition = {
  kind: 'dynamic_supervisor' | 'task_supervisor'
  intensity?: number
  period?: number
  max_children?: number
  extra_arguments?: Term[]
  name?: Term
}

export type PlainDefinition = { kind: 'plain'; body: Operation[]; name?: Term }

export type RegistryDefinition = {
  kind: 'registry'
  keys: 'unique' | 'duplicate'
  name?: Term
}

export type ProcessDefinition =
  | ServerDefinition
  | SupervisorDefinition
  | DynamicDefinition
  | PlainDefinition
  | RegistryDefinition

/** What happened in one step: its result, and the events by process. */
export type StepTrace = { result: Term; events?: Record<string, Term[]> }

export type Scenario = {
  id: string
  title: string
  procs: Record<string, ProcessDefinition>
  steps: Operation[]
  expected: StepTrace[]
}
