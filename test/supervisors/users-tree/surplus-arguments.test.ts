/**
 * The functions of all entry points, and what each does with arguments too many. JavaScript would
 * drop them without a word.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { supervisor, worker } from '../../../src/index.ts'

const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string | { readonly default: string }>
}

/** Each function by the name that its form has, such as `Registry.start`. */
const surface = new Map<string, (...given: unknown[]) => unknown>()
for (const entry of Object.values(exports)) {
  if (typeof entry === 'string') continue
  const source = entry.default.replace('./dist/', '../../../src/').replace(/js$/, 'ts')
  for (const [name, found] of Object.entries<unknown>(await import(source))) {
    if (typeof found === 'function') surface.set(name, found as () => unknown)
    else if (!Array.isArray(found))
      for (const [part, of] of Object.entries(found as object))
        if (typeof of === 'function') surface.set(`${name}.${part}`, of)
  }
}

/** They make or start something: an option at a wrong place would change what runs. */
const makers = new Set([
  ...['start', 'createSystem', 'defineConfig', 'systemMonitor', 'threadServer'],
  ...['jsonLogger', 'objectFirst', 'projection', 'history', 'countsByNamespace'],
  ...[
    'worker',
    'supervisor',
    'dynamicSupervisor',
    'taskSupervisor',
    'Task.childSpec',
    'tableKeeper',
  ],
  ...['partitions', 'partitionSupervisor', 'entity', 'via', 'Registry.via', 'rehearse'],
  ...['startSupervisor', 'startDynamicSupervisor', 'startTaskSupervisor'],
  ...['startChild', 'startDynamicChild', 'startOrGet'],
  ...['Pool.childSpec', 'Pool.start', 'Registry.childSpec', 'Registry.start'],
  ...['StateMachine.server', 'StateMachine.durable'],
  ...['flow', 'flows', 'workflow', 'queue', 'schedule'],
  ...['observer', 'tracing', 'operations', 'streamHandler', 'walServer', 'childSpec'],
  ...['measurements', 'metering', 'metricProducer'],
  ...[
    'postgres',
    'pglite',
    'postgresEngine',
    'natsEngine',
    'folderEngine',
    'replicaOver',
    'restore',
  ],
  ...['testSystem', 'startSimulated', 'simulatedDisk', 'memoryProjections', 'virtualClock'],
  ...['inlineLogHost', 'inlineBlobHost', 'capturedLog', 'probe', 'inManyOrders', 'seededRandom'],
])

/** The functions that look at no more than their arguments, each with the reason. */
const leftOut: Record<string, readonly string[]> = {
  'runs for each message or each turn, where a check would cost': [
    ...['call', 'cast', 'send', 'reply', 'noReply', 'stop', 'stopReply', 'ok', 'ignore', 'exit'],
    'inTraceOf',
    ...['broadcast', 'demonitor', 'groups', 'join', 'leave'].map((name) => `pg.${name}`),
    ...['members', 'monitor', 'monitorAll'].map((name) => `pg.${name}`),
    ...['count', 'countMatch', 'dispatch', 'keys', 'lookup'].map((name) => `Registry.${name}`),
    ...['register', 'select', 'unregister', 'updateValue', 'values'].map(
      (name) => `Registry.${name}`,
    ),
    ...['checkin', 'checkout', 'status', 'transaction'].map((name) => `Pool.${name}`),
    ...['async', 'await', 'awaitMany', 'yield', 'yieldMany', 'shutdown'].map(
      (name) => `Task.${name}`,
    ),
    ...['ignore', 'completed', 'start', 'startLink', 'asyncStream', 'run'].map(
      (name) => `Task.${name}`,
    ),
    ...['async', 'asyncNolink', 'startChild', 'children'].map((name) => `TaskSupervisor.${name}`),
    ...['call', 'send', 'snapshot', 'output', 'waitFor'].map((name) => `StateMachine.${name}`),
    ...['subscribe', 'actorOf', 'contextOf', 'inTurn', 'stepOf'].map(
      (name) => `StateMachine.${name}`,
    ),
    ...['append', 'writeEntry', 'sync', 'settled', 'read', 'release', 'eventPayload'],
    'readEventPayload',
  ],
  'asks a running process as `call` does, with a fixed message': [
    ...['countChildren', 'whichChildren', 'restartChild', 'deleteChild', 'terminateChild'],
    ...['terminateDynamicChild', 'TaskSupervisor.terminateChild'],
    ...['getState', 'getStatus', 'replaceState', 'resume'].map((name) => `sys.${name}`),
    ...['statistics', 'stop', 'suspend', 'trace'].map((name) => `sys.${name}`),
    ...['createCheckpoint', 'describe', 'close', 'surveyTree', 'telemetry'],
  ],
  'looks at one value, and may be passed to `map` or `filter`, which give three': [
    ...['name', 'Registry.name', 'pg.group', 'isRef', 'isShutdown', 'isKeelsonError'],
    ...['describeReason', 'outcome', 'treeView', 'StateMachine.mermaid'],
    ...['Alarms', 'Applier', 'Batcher', 'BlobStore', 'Control', 'Expirer', 'JournalActor'].map(
      (actor) => `${actor}.name`,
    ),
    ...['LmdbWriter', 'Replicator', 'Snapshotter', 'WalWriter'].map((actor) => `${actor}.name`),
  ],
  'is a logger, which takes a message and facts': [
    ...['error', 'warn', 'info'].map((level) => `silentLogger.${level}`),
  ],
  'is a class': [
    'KeelsonError',
    'Table',
    'Wal',
    'KeelsonLevel',
    'Rehearsal',
    'StoredParts',
    'Findings',
    'CaseChoice',
  ],
  'is for rehearsals, of another room': [
    ...['rehearseTree', 'rehearseParts', 'checkDeclarations', 'isAtLeast'],
    ...['casesIn', 'expectCasesFolder', 'saveCases'],
  ],
  'is for the tests of the log server, with a log of their own': ['serverOf'],
}

test('each function of an entry point refuses arguments too many, or is left out for a reason', () => {
  expect([...surface.keys()].sort()).toEqual([...makers, ...Object.values(leftOut).flat()].sort())
})

const tooMany = 9

test.each([...makers])('%s refuses arguments too many, with the right form', async (name) => {
  const make = surface.get(name)
  const given = Array.from({ length: tooMany }, (_, at) => (at === 0 ? 'a' : {}))

  const error = await Promise.resolve(given)
    .then((all) => make?.(...all))
    .catch((thrown: unknown) => thrown)

  expect(error).toMatchObject({ code: 'CONFIG', details: { path: 'arguments' } })
  const said = /expected (.*?)\((.*)\), found "?(\d+) more/.exec((error as Error).message)
  const [, form, parameters = '', surplus] = said ?? []
  expect(form).toBe(name.replace(/^Registry\.via/, 'via'))
  expect(countOf(parameters) + Number(surplus)).toBe(tooMany)
})

/** How many parameters a form names: `{ a, b }` is one. */
const countOf = (parameters: string): number =>
  parameters === '' ? 0 : parameters.replace(/\{.*?\}/g, 'options').split(',').length

const server = { init: () => null }

test.each([
  ['a name that is not one', () => worker('w', server, { nmae: 'w' } as never), 'w.nmae'],
  [
    'a value that is not one',
    () => worker('w', server, { shutdownMs: -1 } as never),
    'w.shutdownMs',
  ],
  [
    'a name of a durable worker',
    () => worker('w', server, { durable: { keep: 1 } } as never),
    'w.durable.keep',
  ],
  ['a name of a supervisor', () => supervisor('s', { restarts: 1 } as never, []), 's.restarts'],
])('an option is refused where the part is made: %s', (_, make, path) => {
  expect(make).toThrow(
    expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
  )
})
