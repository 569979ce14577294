/**
 * The names of the facts about runs, jobs and processes. Page, prompt and command line call a fact as it is
 * called here. Pure, and apart from both, because the page has no other code of the server.
 */

/** Of a run, by the fields of `get`. */
export const runNames = {
  status: 'status',
  startedAt: 'started',
  since: 'since',
  attempt: 'attempt',
  input: 'input',
  output: 'output',
  waitsFor: 'waits for',
  unread: 'unread',
  error: 'error',
  progress: 'progress',
  parent: 'parent',
  attributes: 'attributes',
} as const

/** Of a job, by the fields of `job`. */
export const jobNames = {
  state: 'state',
  waitsFor: 'waits for',
  input: 'input',
  key: 'key',
  attributes: 'attributes',
  priority: 'priority',
  addedAt: 'added',
  traceId: 'added in trace',
  dueAt: 'due',
  tries: 'tries',
  failingSince: 'failing since',
  failedAt: 'failed',
  error: 'error',
  doneAt: 'done',
  result: 'result',
  progress: 'progress',
  tryKey: 'key of tries',
  log: 'log',
} as const

/** Of a process, by the fields of its summary and its ties. */
export const processNames = {
  pid: 'pid',
  name: 'name',
  kind: 'kind',
  status: 'status',
  handling: 'handling',
  mailbox: 'queue',
  handled: 'handled',
  restarts: 'restarts',
  parent: 'parent',
  links: 'links',
  monitors: 'monitors',
  monitoredBy: 'monitored by',
  trapExit: 'traps exits',
} as const
