// Tells what Flux and Argo CD make of objects. Reads a JSON list of objects from standard input and the
// health script of Argo CD from the file that the first argument names; writes a JSON list of results in the
// same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type result struct {
	Kstatus string `json:"kstatus"`
	Flux    string `json:"flux"`
	ArgoCD  string `json:"argocd"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: health SCRIPT < objects.json")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	results := make([]result, 0, len(objects))
	for _, object := range objects {
		one, err := judge(object, string(script))
		if err != nil {
			return err
		}
		results = append(results, one)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func judge(object map[string]any, script string) (result, error) {
	// The library wants integers where JSON has numbers.
	text, err := json.Marshal(object)
	if err != nil {
		return result{}, err
	}
	resource := &unstructured.Unstructured{}
	if err := resource.UnmarshalJSON(text); err != nil {
		return result{}, err
	}
	general, err := kstatus.Compute(resource)
	if err != nil {
		return result{}, err
	}
	ofFlux, err := flux.Compute(resource)
	if err != nil {
		return result{}, err
	}
	health, message, err := runLua(object, script)
	if err != nil {
		return result{}, err
	}
	return result{general.Status.String(), ofFlux.Status.String(), health, message}, nil
}

// runLua runs a health script as Argo CD does by default: with no library but Lua's own functions, tables
// and strings, and the object as the global variable obj.
func runLua(object map[string]any, script string) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
	} {
		call := lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returned %s instead of a table", state.Get(-1).Type())
	}
	return lua.LVAsString(answer.RawGetString("status")), lua.LVAsString(answer.RawGetString("message")), nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
