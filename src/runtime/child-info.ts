/** What a supervisor tells about its children. */
import type { Ref } from './address.ts'
import type { Child } from './supervised-children.ts'

/** A child as its supervisor sees it. */
export interface ChildInfo {
  readonly id: string
  readonly ref: Ref | undefined
  readonly status: 'running' | 'restarting' | 'stopped'
  readonly kind: 'worker' | 'supervisor'
}

/** How many children there are: specifications, running ones, and of which kind. */
export interface ChildCount {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** The child as people see it. */
export const infoOf = (child: Child): ChildInfo => ({
  id: child.spec.id,
  ref: child.process?.address,
  status: child.isRestarting ? 'restarting' : child.process === undefined ? 'stopped' : 'running',
  kind: child.spec.kind,
})

/** How many there are. */
export const count = (children: readonly Child[]): ChildCount => {
  const supervisors = children.filter((child) => child.spec.kind === 'supervisor').length
  return {
    specs: children.length,
    active: children.filter((child) => child.process !== undefined).length,
    supervisors,
    workers: children.length - supervisors,
  }
}
