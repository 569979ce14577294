/**
 * Every place in `src` that reads a part of an Error that any code may have made, as the compiler sees it: `error.message`, and
 * `const { message } = error`. Errors of a class of ours have other types.
 */

import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'

/** One read: `src/a.ts: error.message`. */
export type ErrorRead = string

const parts = ['name', 'message', 'stack', 'cause', 'errors']

/** The node whose type decides, and the whole read. */
type Found = { readonly node: Node; readonly holder: Node }

type Parts = Partial<Record<'expression' | 'name' | 'initializer', Node>> & {
  readonly elements?: readonly Node[]
}

/** The reads of the files of a project whose path has `part`. */
export const errorReads = (config: string, part: string): ErrorRead[] => {
  const api = new API({ cwd: process.cwd() })
  try {
    const [project] = api.updateSnapshot({ openProjects: [config] }).getProjects()
    if (!project) throw new Error(`no project ${config}`)
    const { program, checker } = project
    return program
      .getSourceFileNames()
      .filter((path) => path.includes(part) && !path.includes('/node_modules/'))
      .flatMap((path) => {
        const file = program.getSourceFile(path)
        if (!file) return []
        const found = readsIn(file, file.text)
        const types = checker.getTypeAtLocation(found.map(({ holder }) => holder))
        return found
          .filter((_, at) => {
            const type = types[at]
            return type !== undefined && isForeign(checker.typeToString(type))
          })
          .map(({ node }) => `${path.slice(process.cwd().length + 1)}: ${textOf(node, file.text)}`)
      })
  } finally {
    api.close()
  }
}

/** An `Error` of nobody in particular, perhaps with a code. */
const isForeign = (type: string): boolean =>
  /^(Error|AggregateError|TypeError|SyntaxError)\b/.test(type)

const readsIn = (file: Node, text: string): Found[] => {
  const found: Found[] = []
  const walk = (node: Node): void => {
    const { expression, name, initializer } = node as Node & Parts
    if (node.kind === SyntaxKind.PropertyAccessExpression && expression && name) {
      if (parts.includes(textOf(name, text))) found.push({ node, holder: expression })
    } else if (name?.kind === SyntaxKind.ObjectBindingPattern) {
      const names = ((name as Node & Parts).elements ?? []).map((each) => textOf(each, text))
      const reads = names.some((each) => parts.includes(each.replace(/[:=\s].*/, '')))
      if (reads) found.push({ node, holder: initializer ?? name })
    }
    node.forEachChild(walk)
  }
  walk(file)
  return found
}

const textOf = ({ pos, end }: Node, text: string): string =>
  text
    .slice(pos, end)
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    .replace(/\s+/g, ' ')
    .trim()
