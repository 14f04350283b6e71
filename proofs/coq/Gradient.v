(** The partial derivatives of G; K is the squared norm of the gradient, and the rate at which an
    SGD step moves G. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention.
Open Scope R_scope.

(** Gradient · direction. *)
Definition slope (n : nat) (v w q k y : R) (m : nat -> R) (dv dw dq dk : R) (dm : nat -> R) : R :=
  let mbar := attended n q k y m in
  let V := variance n q k y m in
  grad_v w mbar * dv + grad_w v mbar * dw + grad_q v w k y V * dq + grad_k v w q y V * dk
  + total n (fun j => grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar * dm j).

(** The chain rule: G along any curve. *)
Theorem is_derive_output : forall n (v w q k : R -> R) (y : R) (m : R -> nat -> R)
  (dv dw dq dk : R) (dm : nat -> R) (t : R), (1 <= n)%nat ->
  is_derive v t dv -> is_derive w t dw -> is_derive q t dq -> is_derive k t dk ->
  (forall j, (j < n)%nat -> is_derive (fun u : R => m u j) t (dm j)) ->
  is_derive (fun u : R => output n (v u) (w u) (q u) (k u) y (m u)) t
    (slope n (v t) (w t) (q t) (k t) y (m t) dv dw dq dk dm).
Proof.
  intros n v w q k y m dv dw dq dk dm t Hn Hv Hw Hq Hk Hm.
  pose proof (is_derive_attended n q k y m dq dk dm t Hn Hq Hk Hm) as Ha.
  match type of Ha with is_derive _ _ ?D => set (da := D) in Ha end.
  unfold output. evar_last.
  { apply (is_derive_mult (fun u : R => v u * w u)
      (fun u : R => attended n (q u) (k u) y (m u)) t (dv * w t + v t * dw) da);
      [|exact Ha|intros; apply Rmult_comm].
    evar_last.
    { apply (is_derive_mult v w t dv dw Hv Hw); intros; apply Rmult_comm. }
    unfold plus, mult; simpl; ring. }
  unfold plus, mult, da; simpl. unfold slope, grad_v, grad_w, grad_q, grad_k, grad_m.
  set (s := softmax n (logit (q t) (k t) y (m t))).
  set (c := attended n (q t) (k t) y (m t)).
  rewrite (total_ext n (fun j => v t * w t * s j * (1 + q t * k t * y * (m t j - c)) * dm j)
     (fun j => v t * w t * (s j * (1 + q t * k t * y * (m t j - c)) * dm j))) by (intros; ring).
  rewrite total_scal. ring.
Qed.

Section Partials.
Variables (n : nat) (v w q k y : R) (m : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Let mbar := attended n q k y m.
Let V := variance n q k y m.

Let idle : forall c t : R, is_derive (fun _ : R => c) t 0.
Proof. intros. apply (is_derive_const (c : R) t). Qed.
Let moves : forall t : R, is_derive (fun u : R => u) t 1.
Proof. intros. apply (is_derive_id t). Qed.

Let nothing : total n (fun j =>
  grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar * 0) = 0.
Proof. rewrite (total_ext n _ (fun _ => 0)) by (intros; ring). rewrite total_const; ring. Qed.

Theorem partial_v : is_derive (fun x : R => output n x w q k y m) v (grad_v w mbar).
Proof.
  evar_last.
  { apply (is_derive_output n (fun u => u) (fun _ => w) (fun _ => q) (fun _ => k) y (fun _ => m)
             1 0 0 0 (fun _ => 0) v Hn (moves v) (idle w v) (idle q v) (idle k v)).
    intros; apply idle. }
  unfold slope. fold mbar V. rewrite nothing. ring.
Qed.

Theorem partial_w : is_derive (fun x : R => output n v x q k y m) w (grad_w v mbar).
Proof.
  evar_last.
  { apply (is_derive_output n (fun _ => v) (fun u => u) (fun _ => q) (fun _ => k) y (fun _ => m)
             0 1 0 0 (fun _ => 0) w Hn (idle v w) (moves w) (idle q w) (idle k w)).
    intros; apply idle. }
  unfold slope. fold mbar V. rewrite nothing. ring.
Qed.

Theorem partial_q : is_derive (fun x : R => output n v w x k y m) q (grad_q v w k y V).
Proof.
  evar_last.
  { apply (is_derive_output n (fun _ => v) (fun _ => w) (fun u => u) (fun _ => k) y (fun _ => m)
             0 0 1 0 (fun _ => 0) q Hn (idle v q) (idle w q) (moves q) (idle k q)).
    intros; apply idle. }
  unfold slope. fold mbar V. rewrite nothing. ring.
Qed.

Theorem partial_k : is_derive (fun x : R => output n v w q x y m) k (grad_k v w q y V).
Proof.
  evar_last.
  { apply (is_derive_output n (fun _ => v) (fun _ => w) (fun _ => q) (fun u => u) y (fun _ => m)
             0 0 0 1 (fun _ => 0) k Hn (idle v k) (idle w k) (idle q k) (moves k)).
    intros; apply idle. }
  unfold slope. fold mbar V. rewrite nothing. ring.
Qed.

Theorem partial_m : forall i, (i < n)%nat ->
  is_derive (fun x : R => output n v w q k y (update m i x)) (m i)
    (grad_m v w q k y (softmax n (logit q k y m) i) (m i) mbar).
Proof.
  intros i Hi.
  assert (Hm : forall j, update m i (m i) j = m j).
  { intros j. unfold update. destruct (Nat.eqb_spec j i); [now subst|reflexivity]. }
  assert (El : forall j, logit q k y (update m i (m i)) j = logit q k y m j)
    by (intros; unfold logit; now rewrite Hm).
  assert (Es : forall j, softmax n (logit q k y (update m i (m i))) j = softmax n (logit q k y m) j).
  { intros j. unfold softmax. rewrite El. f_equal. apply total_ext; intros; now rewrite El. }
  assert (Em : attended n q k y (update m i (m i)) = mbar).
  { apply total_ext; intros. now rewrite Es, Hm. }
  evar_last.
  { apply (is_derive_output n (fun _ => v) (fun _ => w) (fun _ => q) (fun _ => k) y
             (fun u => update m i u) 0 0 0 0 (fun j => if Nat.eqb j i then 1 else 0) (m i) Hn
             (idle v _) (idle w _) (idle q _) (idle k _)).
    intros j Hj. unfold update. destruct (Nat.eqb j i); [apply moves|apply idle]. }
  unfold slope. rewrite Em.
  rewrite (total_ext n _ (fun j => if Nat.eqb j i
     then grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar else 0)).
  - rewrite total_single by assumption. ring.
  - intros j Hj. rewrite Es, Hm. destruct (Nat.eqb j i); ring.
Qed.

(** K is the squared norm of the gradient, each component the derivative of G itself. *)
Theorem gain_is_squared_gradient :
  gain n v w q k y m
  = Derive (fun x => output n x w q k y m) v ^ 2
    + Derive (fun x => output n v x q k y m) w ^ 2
    + Derive (fun x => output n v w x k y m) q ^ 2
    + Derive (fun x => output n v w q x y m) k ^ 2
    + total n (fun i => Derive (fun x => output n v w q k y (update m i x)) (m i) ^ 2).
Proof.
  rewrite (is_derive_unique _ _ _ partial_v), (is_derive_unique _ _ _ partial_w),
    (is_derive_unique _ _ _ partial_q), (is_derive_unique _ _ _ partial_k).
  rewrite (total_ext n _ (fun i => (v ^ 2 * w ^ 2) * (softmax n (logit q k y m) i ^ 2
       * (1 + q * k * y * (m i - mbar)) ^ 2))).
  - rewrite total_scal. unfold gain, gain_formula, spread, grad_v, grad_w, grad_q, grad_k.
    fold mbar V. ring.
  - intros i Hi. rewrite (is_derive_unique _ _ _ (partial_m i Hi)). unfold grad_m. ring.
Qed.

(** One SGD step on (v, w, q, k, m) against g ∇G, as a function of η. *)
Definition stepped (g eta : R) : R :=
  output n (v - eta * (g * grad_v w mbar)) (w - eta * (g * grad_w v mbar))
    (q - eta * (g * grad_q v w k y V)) (k - eta * (g * grad_k v w q y V)) y
    (fun j => m j - eta * (g * grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar)).

Let line : forall a b t : R, is_derive (fun u : R => a - u * b) t (- b).
Proof. intros. auto_derive; [trivial|ring]. Qed.

Theorem sgd_step_rate : forall g, is_derive (stepped g) 0 (- (g * gain n v w q k y m)).
Proof.
  intros g. unfold stepped.
  set (dm := fun j => grad_m v w q k y (softmax n (logit q k y m) j) (m j) mbar).
  change (fun eta : R => output n (v - eta * (g * grad_v w mbar)) (w - eta * (g * grad_w v mbar))
    (q - eta * (g * grad_q v w k y V)) (k - eta * (g * grad_k v w q y V)) y
    (fun j => m j - eta * (g * dm j))) with
   (fun eta : R => output n ((fun u => v - u * (g * grad_v w mbar)) eta)
    ((fun u => w - u * (g * grad_w v mbar)) eta) ((fun u => q - u * (g * grad_q v w k y V)) eta)
    ((fun u => k - u * (g * grad_k v w q y V)) eta) y
    ((fun u j => m j - u * (g * dm j)) eta)).
  evar_last.
  { apply (is_derive_output n (fun u => v - u * (g * grad_v w mbar))
      (fun u => w - u * (g * grad_w v mbar)) (fun u => q - u * (g * grad_q v w k y V))
      (fun u => k - u * (g * grad_k v w q y V)) y (fun u j => m j - u * (g * dm j))
      (- (g * grad_v w mbar)) (- (g * grad_w v mbar)) (- (g * grad_q v w k y V))
      (- (g * grad_k v w q y V)) (fun j => - (g * dm j)) 0 Hn); intros; apply line. }
  assert (E : (fun j => m j - 0 * (g * dm j)) = m)
    by (apply FunctionalExtensionality.functional_extensionality; intros; ring).
  cbv beta. rewrite E, !Rmult_0_l, !Rminus_0_r.
  unfold slope. fold mbar V.
  rewrite (total_ext n _ (fun i => (- g * (v ^ 2 * w ^ 2)) * (softmax n (logit q k y m) i ^ 2
       * (1 + q * k * y * (m i - mbar)) ^ 2))).
  - rewrite total_scal. unfold gain, gain_formula, spread, grad_v, grad_w, grad_q, grad_k.
    fold mbar V. ring.
  - intros i Hi. unfold dm, grad_m. ring.
Qed.

(** lim ΔG/η = −g K. *)
Theorem sgd_step_limit : forall g,
  is_lim (fun eta => (stepped g eta - stepped g 0) / eta) 0 (- (g * gain n v w q k y m)).
Proof.
  intros g. pose proof (sgd_step_rate g) as H. apply is_derive_Reals in H.
  apply is_lim_spec. intros eps. destruct (H eps (cond_pos eps)) as [d Hd].
  exists d. intros x Hx Hne. specialize (Hd x Hne). rewrite Rplus_0_l in Hd.
  apply Hd. unfold ball in Hx; simpl in Hx; unfold AbsRing_ball, minus, plus, opp, abs in Hx;
    simpl in Hx. now rewrite Ropp_0, Rplus_0_r in Hx.
Qed.
End Partials.
