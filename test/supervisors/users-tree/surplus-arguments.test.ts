/** Each function that makes a part of a tree, and what it does with arguments too many. */
import { expect, test } from 'vitest'
import * as flow from '../../../src/flow/index.ts'
import * as keelson from '../../../src/index.ts'

const server = { init: () => null }

/** The functions that make a part of a tree, each with as many arguments as it takes. */
const makers: Record<string, readonly unknown[]> = {
  worker: ['a', server, {}],
  supervisor: ['a', {}, []],
  dynamicSupervisor: ['a', {}],
  taskSupervisor: ['a', {}],
  partitionSupervisor: ['a', keelson.partitions('a', 2), {}],
  tableKeeper: ['a', {}],
  entity: ['a', server, {}],
  workflow: ['a', async () => 0, {}],
  queue: ['a', async () => 0, {}],
  schedule: ['a', '0 0 * * *', flow.workflow('b', async () => 0), {}],
  flows: [{}],
}

const others =
  'KeelsonError Table call cast countChildren countsByNamespace createSystem defineConfig deleteChild describeReason exit flow history ignore ingest isKeelsonError isRef isShutdown jsonLogger name noReply objectFirst ok partitions projection reply restartChild send start startChild startDynamicChild startDynamicSupervisor startOrGet startSupervisor startTaskSupervisor stop stopReply surveyTree systemMonitor telemetry terminateChild terminateDynamicChild threadServer treeView via whichChildren'

const surface: Record<string, unknown> = {
  ...keelson,
  ...flow,
  'Task.childSpec': keelson.Task.childSpec,
}
const functions = Object.keys(surface).filter((name) => typeof surface[name] === 'function')
makers['Task.childSpec'] = ['a', async () => 0, {}]

test('each function of the package is known to make a part of a tree, or not', () => {
  expect(functions.sort()).toEqual([...Object.keys(makers), ...others.split(' ')].sort())
})

test.each(Object.entries(makers))(
  '%s refuses an argument too many, with the right form',
  (name, given) => {
    const make = surface[name] as (...given: readonly unknown[]) => unknown
    const form = new RegExp(
      `arguments: expected ${name.replace('.', '\\.')}\\(.*\\), found .*1 more`,
    )

    expect(() => make(...given)).not.toThrow()
    expect(() => make(...given, { name: 'other' })).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringMatching(form) }),
    )
  },
)
