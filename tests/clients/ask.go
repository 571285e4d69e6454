// What a program in Go does that knows nothing of the proxy: the default client, and nothing else.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
)

type answer struct {
	Word  string
	Bytes int
	Error struct{ Code string }
}

func read(response *http.Response, err error) answer {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer response.Body.Close()
	var found answer
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		fmt.Println(response.Status, err)
		os.Exit(1)
	}
	return found
}

func main() {
	place := os.Args[1]
	fmt.Println(read(http.Get(place + "/a")).Word)
	posted := read(http.Post(place+"/a", "text/plain", bytes.NewReader(make([]byte, 2000000))))
	fmt.Println(posted.Bytes, read(http.Get(place+"/b")).Error.Code)
	var all sync.WaitGroup
	words := make([]string, 3)
	for index := range words {
		all.Add(1)
		go func(index int) {
			defer all.Done()
			words[index] = read(http.Get(place + "/a")).Word
		}(index)
	}
	all.Wait()
	fmt.Println(words[0], words[1], words[2])
	_, err := http.Get("https://elsewhere.example/")
	fmt.Println(err)
}
