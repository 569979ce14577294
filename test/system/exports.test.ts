/** What the built package exports: what users use, and no part of the storage. */
import * as keelson from 'keelson'
import { expect, onTestFinished, test, vi } from 'vitest'

test('exports the functions that users call, and nothing of what stands behind the instance', () => {
  expect(Object.keys(keelson).sort()).toEqual(
    [
      ...['start', 'supervisor', 'worker', 'startSupervisor', 'startChild', 'startDynamicChild'],
      ...[
        'createSystem',
        'call',
        'cast',
        'send',
        'exit',
        'name',
        'via',
        'isRef',
        'telemetry',
        'sys',
        'systemMonitor',
      ],
      ...[
        'ok',
        'ignore',
        'reply',
        'noReply',
        'objectFirst',
        'stop',
        'stopReply',
        'describeReason',
        'isShutdown',
        'jsonLogger',
      ],
      ...[
        'startOrGet',
        'countChildren',
        'defineConfig',
        'deleteChild',
        'restartChild',
        'terminateChild',
        'whichChildren',
      ],
      ...['dynamicSupervisor', 'startDynamicSupervisor', 'terminateDynamicChild', 'Registry'],
      ...[
        'entity',
        'pg',
        'Pool',
        'partitions',
        'partitionSupervisor',
        'Table',
        'tableKeeper',
        'threadServer',
        'projection',
        'history',
        'countsByNamespace',
      ],
      ...['Task', 'TaskSupervisor', 'WalWriter', 'taskSupervisor', 'startTaskSupervisor'],
      ...[
        'Alarms',
        'Applier',
        'Batcher',
        'BlobStore',
        'Control',
        'Expirer',
        'JournalActor',
        'Replicator',
        'Snapshotter',
        'KeelsonError',
        'LmdbWriter',
        'folderEngine',
        'isKeelsonError',
        'errorCodes',
        'surveyTree',
        'treeView',
      ],
    ].sort(),
  )
  expect(Object.keys(keelson.sys).sort()).toEqual(
    [
      ...['getState', 'replaceState', 'suspend', 'resume'],
      ...['getStatus', 'statistics', 'trace', 'stop'],
    ].sort(),
  )
})

test('an error of a handler is logged with the frames of the user, and without those of the package', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => log.mockRestore())
  const system = keelson.createSystem()
  const ended = new Promise((resolve) => system.events.once('process.exited', resolve))
  const server: keelson.GenServer<{ casts: { break: () => void } }, number> = {
    init: () => 0,
    casts: {
      break: () => {
        throw new Error('boom')
      },
    },
  }
  keelson.cast(await system.start(server, undefined), 'break')
  await ended

  const frames = log.mock.calls.join('\n').match(/^\s+at .*/gm) ?? []
  expect(frames.length).toBeGreaterThan(0)
  expect(frames.filter((frame) => !frame.includes('exports.test.ts'))).toEqual([])
})
