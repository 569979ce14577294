/** The member in its cluster as text: the output of `cluster()`, and its part of `health()`. Pure. */
import type { Health } from '../../supervisors/index.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { countText, durationText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import { stateText } from './state-view.ts'

/** The facts of the member, or that there is no cluster. */
export const clusterView = (cluster: Health['cluster'], paint: Paint = plainPaint): string => {
  if (!cluster) return 'no cluster: see the option cluster of start'
  const { name, member, engine, copies, phase, epoch, leaseMs, leftMs, follows, reason } = cluster
  return factList([
    ['cluster', printable(name)],
    ['member', printable(member)],
    ['phase', stateText('member', phase, paint)],
    ['epoch', countText(epoch)],
    ['lease', `${durationText(leftMs)} left of ${durationText(leaseMs)}`],
    ['engine', printable(engine)],
    ['copies', countText(copies)],
    ...(follows ? [['follows', followsText(follows)] as const] : []),
    ...(reason === undefined ? [] : [['waits for', paint('bad', printable(reason))] as const]),
  ])
}

const followsText = ({ shards, warm }: NonNullable<Cluster['follows']>): string =>
  `${countText(shards)} shards of others, ${countText(warm)} of them closely`

/** The member in one line. */
export const clusterLine = ({ name, member, phase, epoch, leftMs }: Cluster): string =>
  `${member} of ${name}: ${phase}, epoch ${countText(epoch)}, ${durationText(leftMs)} of its lease left`

type Cluster = NonNullable<Health['cluster']>
