/** The texts of a source: its string literals of several words, with `…` where a template has a value. */
import { parseAst } from 'rolldown/parseAst'
import type { SourceFile } from './source-files.ts'

type Text = { readonly line: number; readonly text: string }
type Node = { readonly type?: string; readonly start?: number; readonly [key: string]: unknown }
type Quasi = { readonly value: { readonly cooked: string } }

/** Types say what a value is, and imports where a file is: neither is read by a user. */
const isUnread = (type = ''): boolean => type.startsWith('TS') && !type.endsWith('Expression')

const textOf = (node: Node): string | undefined => {
  if (node.type === 'Literal') return typeof node['value'] === 'string' ? node['value'] : undefined
  if (node.type !== 'TemplateLiteral') return undefined
  return (node['quasis'] as readonly Quasi[]).map(({ value }) => value.cooked).join('…')
}

/** Those of `file`, each on one line, in the order of the source. */
export const textsOf = ({ path, text: source }: SourceFile): Text[] => {
  const texts: Text[] = []
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const each of node) visit(each)
    else if (typeof node === 'object' && node !== null) look(node as Node)
  }
  const look = (node: Node): void => {
    if (isUnread(node.type)) return
    const text = textOf(node)?.trim()
    if (text?.includes(' ')) {
      const line = source.slice(0, node.start).split('\n').length
      texts.push({ line, text: text.replace(/\s+/g, ' ') })
    }
    for (const child of Object.values(node)) visit(child)
  }
  visit(parseAst(source, { lang: path.endsWith('x') ? 'tsx' : 'ts' }))
  return texts
}
