import { expect, test } from 'vitest'
import type { TreeNode } from '../../../src/inspect/answers/tree-survey.ts'
import { treeView } from '../../../src/inspect/views/tree-view.ts'

const node = (name: string, facts: Partial<TreeNode> = {}): TreeNode => ({
  name,
  pid: 1,
  kind: 'server',
  status: 'running',
  mailbox: 0,
  restarts: 0,
  reason: undefined,
  live: undefined,
  children: [],
  ...facts,
})

test('a tree is drawn with its branches, and says of each node how it is', () => {
  const tree = node('keelson', {
    kind: 'supervisor',
    children: [
      node('shards', {
        pid: 2,
        kind: 'supervisor',
        children: [
          node('wal_writer(0)', { pid: 13, status: 'busy', mailbox: 12_345 }),
          node('applier(0)', { pid: 4, restarts: 2 }),
        ],
      }),
      node('services', { pid: 5, kind: 'supervisor', children: [node('control', { pid: 6 })] }),
    ],
  })

  expect(treeView(tree).split('\n')).toEqual([
    '                     pid   kind         queue  restarts  status',
    'keelson              <1>   supervisor       0         0  running',
    '├─ shards            <2>   supervisor       0         0  running',
    '│  ├─ wal_writer(0)  <13>  server      12,345         0  busy',
    '│  └─ applier(0)     <4>   server           0         2  running',
    '└─ services          <5>   supervisor       0         0  running',
    '   └─ control        <6>   server           0         0  running',
  ])
})

test('a part that is down stands in its place, with the reason', () => {
  const down = { pid: undefined, kind: 'supervisor', status: 'down', reason: 'CORRUPT: bad frame' }
  const tree = node('shards', { kind: 'supervisor', children: [node('shard(0)', down)] })

  expect(treeView(tree).split('\n').at(-1)).toBe(
    '└─ shard(0)  -    supervisor                   down: CORRUPT: bad frame',
  )
})
