// Reads the Terraform configuration in deploy/iam/terraform and prints the policy documents that it makes, as one
// JSON object by the locals' names. It evaluates what the documents are made of and nothing else: no provider is
// asked, so names and types of resources are not checked.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: terraform FOLDER ACCOUNT PARTITION CLUSTER_ID OIDC_PROVIDER")
		os.Exit(2)
	}
	documents, err := read(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(documents)
}

func read(folder, account, partition, cluster, provider string) (map[string]string, error) {
	file, problems := hclparse.NewParser().ParseHCLFile(filepath.Join(folder, "main.tf"))
	if problems.HasErrors() {
		return nil, problems
	}
	context := &hcl.EvalContext{
		Functions: map[string]function.Function{"replace": stdlib.ReplaceFunc, "file": reader},
		Variables: map[string]cty.Value{
			"path": object("module", cty.StringVal(folder)),
			"var": cty.ObjectVal(map[string]cty.Value{
				"cluster_id": cty.StringVal(cluster), "oidc_provider": cty.StringVal(provider),
			}),
			"data": cty.ObjectVal(map[string]cty.Value{
				"aws_caller_identity": object("current", object("account_id", cty.StringVal(account))),
				"aws_partition":       object("current", object("partition", cty.StringVal(partition))),
			}),
		},
	}
	var locals *hclsyntax.Block
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type == "locals" {
			locals = block
		}
	}
	if locals == nil {
		return nil, fmt.Errorf("no locals")
	}
	known, documents := map[string]cty.Value{}, map[string]string{}
	// Locals refer to one another: each round knows those of the rounds before.
	for range len(locals.Body.Attributes) {
		context.Variables["local"] = cty.ObjectVal(known)
		for name, attribute := range locals.Body.Attributes {
			if value, problems := attribute.Expr.Value(context); !problems.HasErrors() {
				known[name], documents[name] = value, value.AsString()
			}
		}
	}
	for name, attribute := range locals.Body.Attributes {
		if _, problems := attribute.Expr.Value(context); problems.HasErrors() {
			return nil, fmt.Errorf("local %s: %w", name, problems)
		}
	}
	return documents, nil
}

func object(name string, value cty.Value) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{name: value})
}

var reader = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "path", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
		text, err := os.ReadFile(arguments[0].AsString())
		return cty.StringVal(string(text)), err
	},
})
