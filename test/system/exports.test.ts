/** What the built package exports: what users use, and no part of the storage. */
import * as keelson from 'keelson'
import { expect, test } from 'vitest'

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
      ...['ok', 'ignore', 'reply', 'noReply', 'stop', 'stopReply', 'describeReason', 'isShutdown'],
      ...['countChildren', 'deleteChild', 'restartChild', 'terminateChild', 'whichChildren'],
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
      ...['Task', 'TaskSupervisor', 'taskSupervisor', 'startTaskSupervisor'],
      ...['KeelsonError', 'isKeelsonError', 'errorCodes', 'ingest', 'surveyTree', 'treeView'],
    ].sort(),
  )
  expect(Object.keys(keelson.sys).sort()).toEqual(
    [
      ...['getState', 'replaceState', 'suspend', 'resume'],
      ...['getStatus', 'statistics', 'trace', 'stop'],
    ].sort(),
  )
})
