/**
 * Every place in `src` that looks a member up by a name that its type leaves open, as the compiler sees it: `object[name]`
 * and `name in object`. A name of a closed list of words is not one, nor a number in an array, nor a look-up in a `Table`.
 */

import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { API, type Type, TypeFlags } from 'typescript/unstable/sync'

/** One look-up: `src/a.ts: record[name]`. */
export type LookUp = string

type Found = { readonly node: Node; readonly holder: Node; readonly name: Node }

const literals = [
  SyntaxKind.StringLiteral,
  SyntaxKind.NumericLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
]

/** The look-ups of the files of a project whose path has `part`. */
export const namedLookUps = (config: string, part: string): LookUp[] => {
  const api = new API({ cwd: process.cwd() })
  try {
    const [project] = api.updateSnapshot({ openProjects: [config] }).getProjects()
    if (!project) throw new Error(`no project ${config}`)
    const { program, checker } = project
    const isOpen = (type: Type | undefined): boolean => {
      if (type === undefined) return true
      if (
        type.flags &
        (TypeFlags.Any | TypeFlags.Unknown | TypeFlags.String | TypeFlags.TemplateLiteral)
      )
        return true
      if (type.isUnionType()) return type.getTypes().some(isOpen)
      if (!(type.flags & TypeFlags.Instantiable)) return false
      const constraint = checker.getBaseConstraintOfType(type)
      return constraint === undefined || constraint === type || isOpen(constraint)
    }
    const isSafe = (type: Type | undefined): boolean => {
      const holder = type && checker.getNonNullableType(type)
      if (!holder) return false
      if (checker.isArrayLikeType(holder)) return true
      return checker.getPropertiesOfType(holder).some(({ name }) => /__@bare\b|__@bare@/.test(name))
    }
    return program
      .getSourceFileNames()
      .filter((path) => path.includes(part) && !path.includes('/node_modules/'))
      .flatMap((path) => {
        const file = program.getSourceFile(path)
        if (!file) return []
        const found = lookUpsIn(file)
        const names = checker.getTypeAtLocation(found.map(({ name }) => name))
        return found
          .filter(({ name }, index) => isCast(name) || isOpen(names[index]))
          .filter(({ holder }) => !isSafe(checker.getTypeAtLocation(holder)))
          .map(({ node }) => `${path.slice(process.cwd().length + 1)}: ${textOf(node, file.text)}`)
      })
  } finally {
    api.close()
  }
}

const lookUpsIn = (file: Node): Found[] => {
  const found: Found[] = []
  const walk = (node: Node): void => {
    const each = lookUp(node)
    if (each && !literals.includes(each.name.kind)) found.push(each)
    node.forEachChild(walk)
  }
  walk(file)
  return found
}

const lookUp = (node: Node): Found | undefined => {
  const { expression, argumentExpression, left, right, operatorToken } = node as Node &
    Partial<Record<'expression' | 'argumentExpression' | 'left' | 'right' | 'operatorToken', Node>>
  if (node.kind === SyntaxKind.ElementAccessExpression && expression && argumentExpression)
    return { node, holder: expression, name: argumentExpression }
  if (isIn(operatorToken) && left && right && left.kind !== SyntaxKind.PrivateIdentifier)
    return { node, holder: right, name: left }
  return undefined
}

/** `name as keyof typeof table` says of an open name that it is a known one. */
const isCast = (name: Node): boolean => name.kind === SyntaxKind.AsExpression

const textOf = ({ pos, end }: Node, text: string): string =>
  text
    .slice(pos, end)
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    .replace(/\s+/g, ' ')
    .trim()

const isIn = (operator: Node | undefined): boolean => operator?.kind === SyntaxKind.InKeyword
