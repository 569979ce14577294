/** The supervision tree as text: the processes, their status, and why a part is down. Pure. */
import type { TreeNode } from '../answers/tree-survey.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { textTable, treeRows } from '../text/text-table.ts'
import { stateText } from './state-view.ts'

const columns = ['', 'pid', 'kind', '>queue', '>restarts', 'status']

/** The tree, a line for each node. */
export const treeView = (root: TreeNode, paint: Paint = plainPaint): string =>
  textTable(
    columns,
    treeRows(root, (node, branch) => rowOf(node, branch, paint)),
  )

const rowOf = (node: TreeNode, branch: string, paint: Paint): string[] => {
  const { pid, kind, mailbox, restarts } = node
  const name = printable(node.name)
  const lives = pid !== undefined
  return [
    paint('faint', branch) + (kind === 'supervisor' ? paint('strong', name) : name),
    lives ? `<${pid}>` : '-',
    kind,
    lives ? countText(mailbox) : '',
    restarts > 0 ? paint('odd', countText(restarts)) : lives ? '0' : '',
    statusText(node, paint),
  ]
}

const statusText = ({ status, reason, live }: TreeNode, paint: Paint): string => {
  const more = live === undefined ? '' : `, ${countText(live)} live`
  return (
    stateText('process', status, paint) +
    more +
    (reason === undefined ? '' : `: ${printable(reason)}`)
  )
}
