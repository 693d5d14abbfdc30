/**
 * How programs are bundled, for the package and for the tests.
 */
import { type Plugin, rolldown } from "rolldown"
import { root } from "../support/Programs.ts"

/** They have files of their own beside their code. */
const external = ["koffi", "open", "tinyclip"]

/** Leaves out of a bundle the whole program in files of its own, which is at this place, seen from the bundle. */
const apart = (main: string): Plugin => ({
  name: "apart",
  resolveId: (_, importer) => (importer?.endsWith("/quick/Unbundled.ts") ? { id: main, external: true } : null),
})

/**
 * Has what the program needs first taken from Node without an `import`: that would make all that a module of Node has, streams
 * and promises with it, and take longer than what the program does.
 */
const withoutImports: Plugin = {
  name: "without-imports",
  renderChunk: (code, { isEntry, name }) => {
    if (!isEntry || name !== "tokenkeep") return null
    return code.replace(/import\s*\{([^}]*)\}\s*from\s*"(node:\w+)";/g, (_, names: string, from: string) => {
      return `const {${names.replace(/ as /g, ": ")}} = process.getBuiltinModule("${from}");`
    })
  },
}

/** Bundles programs, by their names, into a folder. What is imported when it is needed is in chunks of its own. */
export const write = async (
  folder: string,
  input: { readonly [name: string]: string },
  main: string,
  isMinified: boolean,
) => {
  const build = await rolldown({
    cwd: root,
    input,
    platform: "node",
    external,
    // What an example has from the package is these sources.
    resolve: { conditionNames: ["tokenkeep-source", "node", "import"] },
    plugins: [apart(main), ...(isMinified ? [withoutImports] : [])],
  })
  await build.write({
    dir: folder,
    // Names are left as they are: they are in stack traces, and of errors in what is said.
    minify: isMinified && { mangle: false, compress: true, codegen: { removeWhitespace: true } },
  })
  await build.close()
}
