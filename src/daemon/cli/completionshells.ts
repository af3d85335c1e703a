/** Completion scripts as text, from places on the command line. */

/** A place on the command line: `sprint` itself, a group of commands, or a command. */
export interface Place {
  /** Words after `sprint`, with blanks between: "breakers get". */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly PlaceOption[];
  readonly args: readonly PlaceArgument[];
}

export interface PlaceOption {
  readonly short: string | null;
  readonly long: string;
  readonly description: string;
  /** What its value may be; null where it takes none. */
  readonly values: Suggestion | null;
}

export interface PlaceArgument {
  readonly values: Suggestion;
  readonly variadic: boolean;
}

/** Words, or where to get them: files, or names that the running daemon knows. No words: anything may stand there. */
export type Suggestion = readonly string[] | "files" | "breakers" | "upstreams";

export type Shell = "bash" | "zsh" | "fish";

export const SCRIPTS: Readonly<Record<Shell, (places: readonly Place[]) => string>> = { bash, zsh, fish };

function bash(places: readonly Place[]): string {
  return `# Completion of sprint for bash. In ~/.bashrc: source <(sprint completion bash)
${walker(places)}
_sprint() {
  local line="\${COMP_LINE:0:COMP_POINT}" cur= at= option= seen= subs= opts= valued= found= word= breaks=
  local -a typed list
  read -ra typed <<<"$line"
  case "$line" in
    *[[:space:]]) ;;
    *) cur="\${typed[\${#typed[@]}-1]}"; unset "typed[\${#typed[@]}-1]" ;;
  esac
  _sprint_walk "\${typed[@]:1}"
  case "$cur" in
    --*=*) option="\${cur%%=*}"; cur="\${cur#*=}" ;;
  esac
  _sprint_find "$1"
  COMPREPLY=()
  if [ "$found" = @files ]; then
    compopt -o default 2>/dev/null
    return
  fi
  IFS=$' \\t\\n' read -r -d '' -a list <<<"$found"
  for word in "\${list[@]}"; do
    case "$word" in "$cur"*) COMPREPLY+=("$word") ;; esac
  done
  case "\${#COMPREPLY[@]} \${COMPREPLY[0]}" in
    1*=) compopt -o nospace 2>/dev/null ;;
  esac
  # Bash begins a new word after these: what stands before the last of them is on the line already.
  for word in : =; do
    case "$COMP_WORDBREAKS" in *"$word"*) breaks="$breaks$word" ;; esac
  done
  if [ -n "$breaks" ]; then
    word="\${cur%"\${cur##*[$breaks]}"}"
    COMPREPLY=("\${COMPREPLY[@]#"$word"}")
  fi
}
complete -F _sprint sprint
`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef sprint
# Completion of sprint for zsh. As a file _sprint in a directory of $fpath, or after compinit: source <(sprint completion zsh)
${walker(places)}
_sprint() {
  local cur="\${words[CURRENT]}" at= option= seen= subs= opts= valued= found=
  _sprint_walk "\${(@)words[2,CURRENT-1]}"
  case "$cur" in
    --*=*) option="\${cur%%=*}"; cur="\${cur#*=}"; compset -P '*=' ;;
  esac
  _sprint_find "\${words[1]}"
  if [ "$found" = @files ]; then
    _files
    return
  fi
  local -a list
  list=(\${=found})
  compadd -S '' -- \${(M)list:#*=}
  compadd -- \${list:#*=}
}
if [ "\${funcstack[1]}" = _sprint ]; then
  _sprint "$@"
else
  compdef _sprint sprint
fi
`;
}

/** What bash and zsh share: which command the line is at, and what may come next. Both read variables of their caller. */
function walker(places: readonly Place[]): string {
  const at = places.map((place) => {
    const subs = place.commands.map((each) => each.name);
    const opts = place.options.flatMap(namesOf);
    const valued = place.options.filter((option) => option.values !== null).flatMap(namesOf);
    return `    ${quote(place.path)}) subs=${words(subs)} opts=${words(opts)} valued=${words(valued)} ;;`;
  });
  return `_sprint_at() {
  subs= opts= valued=
  case "$1" in
${at.join("\n")}
  esac
}
_sprint_value() {
  found=
  case "$1" in
${places.flatMap(valueCases).join("\n")}
  esac
}
_sprint_walk() {
  local word
  at= option= seen=0
  _sprint_at ''
  for word in "$@"; do
    if [ -n "$option" ]; then
      option=
      continue
    fi
    case "$word" in
      '') ;;
      -*) case " $valued " in *" $word "*) option="$word" ;; esac ;;
      *)
        case " $subs " in
          *" $word "*) at="\${at:+$at }$word"; _sprint_at "$at" ;;
          *) seen=$((seen + 1)) ;;
        esac
        ;;
    esac
  done
}
_sprint_find() {
  if [ -n "$option" ]; then
    _sprint_value "$at|$option"
  else
    case "$cur" in
      -*) found="$opts" ;;
      *)
        found="$subs"
        [ -n "$found" ] || _sprint_value "$at|$seen"
        ;;
    esac
  fi
  case "$found" in
    @breakers | @upstreams) found="$("$1" __complete "\${found#@}" 2>/dev/null)" ;;
  esac
}`;
}

function valueCases({ path, options, args }: Place): string[] {
  const line = (pattern: string, values: Suggestion): string[] =>
    values.length === 0
      ? []
      : [`    ${pattern}) found=${typeof values === "string" ? `@${values}` : words(values)} ;;`];
  return [
    ...options.flatMap((option) =>
      line(
        namesOf(option)
          .map((name) => quote(`${path}|${name}`))
          .join(" | "),
        option.values ?? [],
      ),
    ),
    ...args.flatMap(({ values, variadic }, i) =>
      line(variadic ? `${quote(`${path}|`)}[${i}-9]*` : quote(`${path}|${i}`), values),
    ),
  ];
}

function fish(places: readonly Place[]): string {
  const known = places.map((place) => quoteFish(place.path)).filter((path) => path !== "''");
  const options = places.flatMap((place) => place.options);
  const valued = [...new Set(options.filter((option) => option.values !== null).flatMap(namesOf))];
  return `# Completion of sprint for fish. As a file: ~/.config/fish/completions/sprint.fish
function __sprint_at --description 'at this command, with so many arguments before'
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l at ''
    set -l seen 0
    set -l skip 0
    for token in $tokens
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $token
            contains -- $token ${valued.join(" ")}; and set skip 1
        else if contains -- (string trim -- "$at $token") ${known.join(" ")}
            set at (string trim -- "$at $token")
        else
            set seen (math $seen + 1)
        end
    end
    test "$at" = "$argv[1]"; or return 1
    test (count $argv) = 1; and return 0
    test $seen -ge $argv[2]; and test $seen -le $argv[3]
end
function __sprint_names --description 'names that the running daemon knows'
    set -l tokens (commandline -opc)
    $tokens[1] __complete $argv[1] 2>/dev/null
end
complete -c sprint -f
${places.flatMap(fishLines).join("\n")}
`;
}

function fishLines({ path, commands, options, args }: Place): string[] {
  const at = (rest = ""): string => `complete -c sprint -n ${quoteFish(`__sprint_at ${quoteFish(path)}${rest}`)}`;
  return [
    ...commands.map(({ name, description }) => `${at()} -a ${quoteFish(name)} -d ${quoteFish(description)}`),
    ...options.map(({ short, long, description, values }) => {
      const names = `${short === null ? "" : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
      return `${at()} ${names}${values === null ? "" : fishValues(values)} -d ${quoteFish(description)}`;
    }),
    ...args.map(({ values, variadic }, i) => `${at(` ${i} ${variadic ? 99 : i}`)}${fishValues(values)}`),
  ];
}

function fishValues(values: Suggestion): string {
  if (values === "files") return " -r -F";
  if (typeof values === "string") return ` -x -a ${quoteFish(`(__sprint_names ${values})`)}`;
  return values.length === 0 ? " -x" : ` -x -a ${quoteFish(values.join(" "))}`;
}

function namesOf({ short, long }: PlaceOption): string[] {
  return short === null ? [long] : [short, long];
}

function words(list: readonly string[]): string {
  return quote(list.join(" "));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function quoteFish(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
