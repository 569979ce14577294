/** The supervision tree: who runs, how often each was restarted, and why it ended last. */
import { useState } from 'preact/hooks'
import type { TreeNode } from '../process-answers.ts'
import { toneOf } from '../state-tones.ts'
import { Badge, Card, SparkBars } from '../widgets/parts.tsx'
import { countText } from '../widgets/quantities.ts'
import { addressOf } from '../widgets/route.ts'
import { type Column, LongTable } from '../widgets/table.tsx'

/** A node in its place: the guides to its left, and whether it is folded. */
type Row = {
  readonly node: TreeNode
  readonly key: string
  readonly guide: string
  readonly isFolded: boolean
}

/** The rows of the tree, those below a folded node left out. */
const rowsOf = (root: TreeNode, folded: ReadonlySet<string>): Row[] => {
  const rows: Row[] = []
  const visit = (node: TreeNode, path: string, guide: string, below: string): void => {
    const key = `${path}/${node.name}`
    const isFolded = folded.has(key)
    rows.push({ node, key, guide, isFolded })
    if (isFolded) return
    const last = node.children.length - 1
    node.children.forEach((child, at) => {
      const [corner, line] = at === last ? ['└─', '  '] : ['├─', '│ ']
      visit(child, key, `${below}${corner}`, `${below}${line}`)
    })
  }
  visit(root, '', '', '')
  return rows
}

/** The tree. */
export const TreeView = ({ data }: { data: TreeNode }) => {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set())
  const fold = (key: string): void => {
    const next = new Set(folded)
    if (!next.delete(key)) next.add(key)
    setFolded(next)
  }
  const rows = rowsOf(data, folded)
  return (
    <>
      <div class="top">
        <h1>Tree</h1>
        <span class="muted">restarts of the last ten minutes, each bar half a minute</span>
      </div>
      <Card isFlush>
        <div class="tree">
          <LongTable columns={columnsOf(fold)} rows={rows} keyOf={({ key }) => key} />
        </div>
      </Card>
    </>
  )
}

const columnsOf = (fold: (key: string) => void): readonly Column<Row>[] => [
  { title: 'process', cell: (row) => <Title row={row} onFold={() => fold(row.key)} /> },
  {
    title: 'restarts',
    class: 'nowrap',
    cell: ({ node }) =>
      node.recent?.some((count) => count > 0) ? (
        <SparkBars
          values={node.recent}
          title={`${countText(node.restarts)} restarts since the start`}
        />
      ) : (
        <span class="muted">{node.restarts > 0 ? countText(node.restarts) : ''}</span>
      ),
  },
  {
    title: 'queue',
    isNumber: true,
    cell: ({ node }) => (node.mailbox > 0 ? countText(node.mailbox) : <span class="muted">0</span>),
  },
  {
    title: 'status',
    class: 'nowrap',
    cell: ({ node }) => {
      const tone = toneOf('process', node.status)
      return tone ? (
        <Badge tone={tone}>{node.status}</Badge>
      ) : (
        <span class="muted">{node.status}</span>
      )
    },
  },
  {
    title: 'last reason',
    class: 'cut',
    cell: ({ node }) => <span title={node.reason}>{node.reason ?? ''}</span>,
  },
]

const Title = ({ row, onFold }: { row: Row; onFold: () => void }) => {
  const { node, guide, isFolded } = row
  const { name, pid, kind, live, children } = node
  return (
    <span class="title">
      <span class="guide">{guide}</span>
      {children.length === 0 ? (
        <span class="fold" />
      ) : (
        <button
          type="button"
          class="fold"
          onClick={onFold}
          aria-expanded={!isFolded}
          aria-label={isFolded ? `Unfold ${name}` : `Fold ${name}`}
        >
          {isFolded ? '▸' : '▾'}
        </button>
      )}
      {pid === undefined ? <b>{name}</b> : <a href={addressOf('process', [pid])}>{name}</a>}
      <span class="muted aside">{kind}</span>
      {live !== undefined && <Badge>{countText(live)} live</Badge>}
      <span class="narrow">
        <Odd node={node} />
      </span>
    </span>
  )
}

/** A part that is down or was restarted lately, where the columns that say so are out of sight. */
const Odd = ({ node: { status, recent = [] } }: { node: TreeNode }) => {
  const tone = toneOf('process', status)
  const restarts = recent.reduce((sum, count) => sum + count, 0)
  if (tone) return <Badge tone={tone}>{status}</Badge>
  return restarts > 0 ? <Badge tone="bad">{`${countText(restarts)}× again`}</Badge> : null
}
