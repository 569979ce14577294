/**
 * Whether a history of one register is linearizable, whose writes have values that differ. After Gibbons and Korach, "Testing
 * Shared Memories" (1997): each value has a zone in time, from its first end of an operation to its last begin. A zone is
 * forward if the end comes first: then no other value can be between. The history is linearizable if no read comes before its
 * write, no two forward zones overlap, and no other zone lies within a forward one.
 */

/** An operation, from its begin to its end. A write without a known outcome has no end: it may take effect at any later time. */
export type RegisterOperation = {
  readonly kind: 'write' | 'read'
  /** `undefined`: the register was empty. */
  readonly value: string | undefined
  readonly begin: number
  /** `Infinity`: a write without a known outcome. */
  readonly end: number
}

type Zone = {
  readonly value: string
  readonly low: number
  readonly high: number
  readonly forward: boolean
}

/** Why the history is not linearizable; `undefined` if it is. */
export const registerFault = (operations: readonly RegisterOperation[]): string | undefined => {
  const first = { kind: 'write', value: undefined, begin: -2, end: -1 } as const
  const byValue = new Map<string, RegisterOperation[]>()
  for (const operation of [first, ...operations]) {
    const value = operation.value ?? '(empty)'
    byValue.set(value, [...(byValue.get(value) ?? []), operation])
  }
  const zones: Zone[] = []
  for (const [value, cluster] of byValue) {
    const write = cluster.find(({ kind }) => kind === 'write')
    if (!write) return `${value} was read and never written`
    const early = cluster.find(({ kind, end }) => kind === 'read' && end < write.begin)
    if (early) return `${value} was read before it was written`
    // A write of which nobody knows anything need not have taken effect.
    if (cluster.length === 1 && write.end === Number.POSITIVE_INFINITY) continue
    const end = Math.min(...cluster.map((each) => each.end))
    const begin = Math.max(...cluster.map((each) => each.begin))
    zones.push({
      value,
      low: Math.min(end, begin),
      high: Math.max(end, begin),
      forward: end < begin,
    })
  }
  for (const one of zones.filter(({ forward }) => forward))
    for (const other of zones) {
      if (other === one) continue
      const overlaps = other.low < one.high && one.low < other.high
      if (other.forward ? overlaps : other.low > one.low && other.high < one.high)
        return `${other.value} was there while ${one.value} was`
    }
  return undefined
}
