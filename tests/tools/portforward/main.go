// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A front for the server that plays the management cluster in tests: it serves the pods' subresource portforward with the kubelet's own
// code, leading to a program on this machine, and hands everything else on.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
)

// forwarder leads each port of a pod to an address of this machine, as the container runtime leads it into the pod.
type forwarder struct{ targets map[int32]string }

func (f forwarder) PortForward(_ context.Context, name string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	address, known := f.targets[port]
	if !known {
		return fmt.Errorf("failed to connect to localhost:%d inside pod %s: connection refused", port, name)
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(connection, stream)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(stream, connection)
		ended <- err
	}()
	return <-ended
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	status := map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
	_ = json.NewEncoder(w).Encode(status)
}

func main() {
	certificate := flag.String("cert", "", "certificate to show")
	key := flag.String("key", "", "its key")
	authority := flag.String("ca", "", "certificate authority of the backend")
	backend := flag.String("backend", "", "address of the server that plays the cluster")
	token := flag.String("token-file", "", "the file with the token that may forward ports")
	targets := flag.String("targets", "{}", "JSON: port of the pod to address on this machine")
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	address, err := url.Parse(*backend)
	if err != nil {
		log.Fatal(err)
	}
	secret, err := os.ReadFile(*token)
	if err != nil {
		log.Fatal(err)
	}
	known := map[int32]string{}
	if err := json.Unmarshal([]byte(*targets), &known); err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(address)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	proxy.FlushInterval = -1
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		if len(parts) != 7 || parts[4] != "pods" || parts[6] != "portforward" {
			proxy.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+strings.TrimSpace(string(secret)) {
			refuse(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("pods %q is forbidden: cannot get resource \"pods/portforward\"", parts[5]))
			return
		}
		// As the API server does for the kubelet: the option "ports" of its own API becomes "port".
		query := r.URL.Query()
		r.URL.RawQuery = url.Values{"port": {strings.Join(query["ports"], ",")}}.Encode()
		options, err := portforward.NewV4Options(r)
		if err != nil {
			refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
		portforward.ServePortForward(w, r, forwarder{known}, parts[5], "", options, time.Minute, time.Minute, portforward.SupportedProtocols)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: handler, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	if err := server.ServeTLS(listener, *certificate, *key); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
