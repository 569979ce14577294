/** Values of users: as trees, in one line, and the difference between two of them. */
import diff from 'microdiff'
import type { Shown } from '../words.ts'

const isTree = (value: Shown): value is Extract<Shown, { readonly members: unknown }> =>
  typeof value === 'object' && value !== null && 'members' in value

/** A value without members. */
const leafOf = (value: Exclude<Shown, { readonly members: unknown }>) => {
  if (typeof value === 'string') return <span class="text">{JSON.stringify(value)}</span>
  if (value !== null && typeof value === 'object')
    return <span class={value.isHidden ? 'hidden' : 'muted'}>{value.text}</span>
  return <span class="number">{String(value)}</span>
}

const headOf = ({ type, size }: { readonly type: string; readonly size: number }): string =>
  type === 'object' ? `{${size || ''}}` : type === 'array' ? `[${size || ''}]` : `${type}(${size})`

const Member = ({ name, value, depth }: { name: string; value: Shown; depth: number }) => (
  <li>
    {isTree(value) ? (
      <details open={depth < 2}>
        <summary>
          <span class="key">{name}</span> <span class="muted">{headOf(value)}</span>
        </summary>
        <Members of={value} depth={depth + 1} />
      </details>
    ) : (
      <>
        <span class="key">{name}</span> {leafOf(value)}
      </>
    )}
  </li>
)

const Members = ({ of, depth }: { of: Extract<Shown, { members: unknown }>; depth: number }) => (
  <ul>
    {of.members.map(([name, value], at) => (
      <Member key={`${at} ${name}`} name={name} value={value} depth={depth} />
    ))}
    {of.size > of.members.length && <li class="muted">… {of.size - of.members.length} more</li>}
  </ul>
)

/** A value as a tree. */
export const Value = ({ of }: { of: Shown }) => (
  <div class="value">{isTree(of) ? <Tree of={of} /> : leafOf(of)}</div>
)

const Tree = ({ of }: { of: Extract<Shown, { members: unknown }> }) =>
  isEmpty(of) ? <span class="muted">{headOf(of)}</span> : <Members of={of} depth={0} />

/** A value below its title, if there is one. */
export const NamedValue = ({ title, value }: { title: string; value: Shown | undefined }) =>
  value === undefined || isEmpty(value) ? null : (
    <>
      <h2 style={{ margin: '10px 0 4px' }}>{title}</h2>
      <Value of={value} />
    </>
  )

/** Whether it has nothing to show. */
const isEmpty = (value: Shown): boolean => isTree(value) && value.members.length === 0

/** A value as plain data, by which two are compared. */
const plainOf = (value: Shown): unknown => {
  if (!isTree(value)) return typeof value === 'object' && value !== null ? value.text : value
  return Object.fromEntries(value.members.map(([name, member]) => [name, plainOf(member)]))
}

const lineOf = (value: unknown): string => JSON.stringify(value) ?? 'absent'

/** The changes from one value to the other: paths with the old and the new value. */
export const Difference = ({ from, to }: { from: Shown; to: Shown }) => {
  const changes = diff({ value: plainOf(from) }, { value: plainOf(to) })
  if (changes.length === 0) return <p class="muted">Nothing differs.</p>
  return (
    <table class="diff">
      <tbody>
        {changes.map((change) => (
          <tr key={change.path.join('/')}>
            <td class="key">{change.path.slice(1).join('.') || 'state'}</td>
            <td>
              {change.type !== 'CREATE' && <div class="minus">− {lineOf(change.oldValue)}</div>}
              {change.type !== 'REMOVE' && <div class="plus">+ {lineOf(change.value)}</div>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
